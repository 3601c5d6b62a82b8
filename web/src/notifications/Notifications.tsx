import type { NotificationRecord } from "@/api/schema";
import factsStyles from "@/components/Facts.module.css";
import { moment, plural } from "@/lib/time";

const LABELS: Record<NotificationRecord["delivery"], string> = {
  pending: "pending",
  sent: "sent",
  failed: "failed",
  dropped: "not reported",
};

/** The notifications of a node and their delivery. */
export function Notifications({ notifications }: { notifications: readonly NotificationRecord[] }) {
  if (notifications.length === 0) return null;
  return (
    <section>
      <h2>Notifications</h2>
      <table className={factsStyles.table}>
        <tbody>
          {notifications.map((one) => (
            <tr key={one.number}>
              <th scope="row" className="mono">
                {one.callback}
              </th>
              <td>
                {one.subject}
                {one.error === null ? null : <div className="state-error">{one.error}</div>}
              </td>
              <td className={one.delivery === "failed" ? "state-error" : "muted"}>
                {LABELS[one.delivery]}
                {one.delivery === "pending" && one.tries > 0
                  ? `, tried ${plural(one.tries, "time")}`
                  : ""}
                <div className="muted number">{moment(one.ended ?? one.created)}</div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
