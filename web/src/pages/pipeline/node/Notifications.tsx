import type { NotificationRecord } from "@/api/schema";
import { moment, plural } from "@/lib/time";

const WORDS: Record<NotificationRecord["delivery"], string> = {
  pending: "not sent yet",
  sent: "sent",
  failed: "not sent",
};

/** Who was told what of a node, and whether it reached them. */
export function Notifications({ told }: { told: readonly NotificationRecord[] }) {
  if (told.length === 0) return null;
  return (
    <section>
      <h2>Notifications</h2>
      <table className="facts">
        <tbody>
          {told.map((one) => (
            <tr key={one.number}>
              <th scope="row" className="mono">
                {one.callback}
              </th>
              <td>
                {one.subject}
                {one.error === null ? null : <div className="state-error">{one.error}</div>}
              </td>
              <td className={one.delivery === "failed" ? "state-error" : "muted"}>
                {WORDS[one.delivery]}
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
