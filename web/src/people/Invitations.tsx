import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { messageOf } from "@/api/client";
import { organisationApi } from "@/people/api/organisation";
import { Button } from "@/components/Button";
import { toast } from "@/components/toasts";
import { moment } from "@/lib/time";
import styles from "@/people/Table.module.css";

export const INVITATIONS_KEY = ["invitations"] as const;

/** The invitations that can still be accepted. */
export function Invitations() {
  const client = useQueryClient();
  const list = useQuery({
    queryKey: INVITATIONS_KEY,
    queryFn: ({ signal }) => organisationApi.invitations(signal),
  });
  const withdraw = useMutation({
    mutationFn: (id: string) => organisationApi.withdraw(id),
    onSuccess: ({ email }) => toast(`Withdrew the invitation of ${email}`),
    onError: (error) => toast(messageOf(error), "error"),
    onSettled: () => void client.invalidateQueries({ queryKey: INVITATIONS_KEY }),
  });
  const invitations = list.data?.invitations ?? [];
  if (invitations.length === 0) return null;
  return (
    <section className={styles.section}>
      <h2>Open invitations</h2>
      <div className={`card ${styles.card}`}>
        <table className={`list ${styles.stack}`}>
          <tbody>
            {invitations.map((one) => (
              <tr key={one.id}>
                <th scope="row">{one.email}</th>
                <td>{one.role}</td>
                <td className="muted">{`expires ${moment(one.expires)}`}</td>
                <td className={`list-number ${styles.action}`}>
                  <Button
                    variant="quiet"
                    className="button-danger"
                    aria-label={`Withdraw the invitation of ${one.email}`}
                    disabled={withdraw.isPending}
                    onClick={() => withdraw.mutate(one.id)}
                  >
                    Withdraw
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
