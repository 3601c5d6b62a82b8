import { useMutation, useQuery } from "@tanstack/react-query";

import { api, messageOf } from "@/api/client";
import type { Usage, WhoAmI } from "@/api/schema";
import { signOut } from "@/api/session";
import { Button } from "@/components/Button";
import { FactsList } from "@/components/Facts";
import { Page } from "@/components/Page";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { followLink } from "@/lib/location";
import { duration } from "@/lib/time";
import { amountHeadings, amountsOf, totalOf } from "@/billing/model/costs";
import styles from "@/people/account/AccountPage.module.css";
import agentPageStyles from "@/remote/agent/AgentPage.module.css";
import { Sessions, Tokens } from "@/people/account/Tokens";
import { useWho } from "@/people/useWho";

const MONTHS = 12;

/** The signed-in user and the organisation's usage. */
export function AccountPage() {
  const { query: who } = useWho();
  const usage = useQuery({
    queryKey: ["usage"],
    queryFn: ({ signal }) => api.usage({}, signal),
  });
  const signOutMutation = useMutation({
    mutationFn: signOut,
    onSuccess: () => location.assign("/"),
    onError: (error) => toast(messageOf(error), "error"),
  });
  return (
    <Page
      title="Account"
      error={who.error}
      actions={
        <Button disabled={signOutMutation.isPending} onClick={() => signOutMutation.mutate()}>
          Sign out
        </Button>
      }
    >
      {who.data !== undefined ? (
        <Facts who={who.data} />
      ) : (
        <QueryPlaceholder query={who} rows={5} />
      )}
      {who.data === undefined ? null : (
        <>
          <Tokens permissions={who.data.permissions} />
          <Sessions />
        </>
      )}
      {usage.data === undefined ? null : <Months usage={usage.data} />}
    </Page>
  );
}

function Facts({ who }: { who: WhoAmI }) {
  const rows: [string, string][] = [
    ["User", who.user],
    ["Organisation", who.org],
    ["Plan", who.plan],
    ["Permissions", who.permissions.map((name) => name.replaceAll("_", " ")).join(", ")],
    ["Version", who.version],
  ];
  return (
    <section aria-label="Signed in as" className={`card ${agentPageStyles.card} ${styles.facts}`}>
      <FactsList facts={rows} />
    </section>
  );
}

function Months({ usage }: { usage: Usage }) {
  const months = usage.months.slice(0, MONTHS);
  return (
    <section>
      <h2 className={agentPageStyles.title}>Usage</h2>
      {months.length === 0 ? (
        <p className="muted">No usage yet.</p>
      ) : (
        <>
          <table className={`card ${styles.used}`}>
            <thead>
              <tr>
                <th>Month</th>
                <th>Commands</th>
                <th>Run time</th>
                {amountHeadings(months).map((heading) => (
                  <th key={heading}>{`${heading} (approx.)`}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {months.map((one) => (
                <tr key={one.month}>
                  <td>{one.month}</td>
                  <td className="number">{one.attempts.toLocaleString("en")}</td>
                  <td className="number">{duration(one.seconds)}</td>
                  {amountsOf(one.price, totalOf(one)).map((amount, place) => (
                    <td key={place} className="number">
                      {amount}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          <p className="muted">
            Includes workers from image pull to stop, at the prices of {usage.region} as of{" "}
            {usage.priced}.{" "}
            <a href="/organisation/plan" onClick={followLink}>
              Usage by program and pipeline
            </a>
          </p>
        </>
      )}
    </section>
  );
}
