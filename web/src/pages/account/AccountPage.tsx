import "@/components/pages.css";

import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";

import { api, messageOf } from "@/api/client";
import type { Usage, WhoAmI } from "@/api/schema";
import { signOut } from "@/api/session";
import { Button } from "@/components/Button";
import { Failure } from "@/components/Empty";
import { Loading } from "@/components/Loading";
import { PageStand } from "@/components/PageStand";
import { toast } from "@/components/toasts";
import { duration } from "@/lib/time";

const MONTHS = 12;

/** Who this browser is signed in as, and what the organisation used. */
export function AccountPage() {
  const who = useQuery({ queryKey: ["whoami"], queryFn: ({ signal }) => api.whoAmI(signal) });
  const usage = useQuery({
    queryKey: ["usage"],
    queryFn: ({ signal }) => api.usage({}, signal),
  });
  useEffect(() => {
    document.title = "Account · Conducto";
  }, []);
  const leave = useMutation({
    mutationFn: signOut,
    onSuccess: () => location.assign("/"),
    onError: (error) => toast(messageOf(error), "error"),
  });
  return (
    <PageStand error={who.error} known={who.data !== undefined}>
      <div className="page">
        <div className="page-head">
          <h1>Account</h1>
          <span className="page-grow" />
          <Button disabled={leave.isPending} onClick={() => leave.mutate()}>
            Sign out
          </Button>
        </div>
        {who.data !== undefined ? (
          <Facts who={who.data} />
        ) : who.error === null ? (
          <div className="card">
            <Loading rows={5} />
          </div>
        ) : (
          <Failure message={messageOf(who.error)} onRetry={() => void who.refetch()} />
        )}
        {usage.data === undefined ? null : <Months usage={usage.data} />}
      </div>
    </PageStand>
  );
}

function Facts({ who }: { who: WhoAmI }) {
  const rows: [string, string][] = [
    ["User", who.user],
    ["Organisation", who.org],
    ["Plan", who.plan],
    ["May", who.permissions.map((name) => name.replaceAll("_", " ")).join(", ")],
    ["Version", who.version],
  ];
  return (
    <section aria-label="Signed in as" className="card agent-card">
      <dl className="agent-facts account-facts">
        {rows.map(([what, value]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Months({ usage }: { usage: Usage }) {
  const months = usage.months.slice(0, MONTHS);
  return (
    <section>
      <h2 className="agent-title">Used</h2>
      {months.length === 0 ? (
        <p className="muted">Nothing so far.</p>
      ) : (
        <>
          <table className="card used">
            <thead>
              <tr>
                <th>Month</th>
                <th>Commands</th>
                <th>Ran</th>
                <th>About</th>
              </tr>
            </thead>
            <tbody>
              {months.map((one) => (
                <tr key={one.month}>
                  <td>{one.month}</td>
                  <td className="number">{one.attempts.toLocaleString("en")}</td>
                  <td className="number">{duration(one.seconds)}</td>
                  <td className="number">${one.dollars.toFixed(2)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p className="muted">
            Workers from the pull of their image to their stop, by the prices of {usage.region} of{" "}
            {usage.priced}; <code>conducto usage</code> tells pipelines and nodes.
          </p>
        </>
      )}
    </section>
  );
}
