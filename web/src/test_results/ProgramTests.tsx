import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import { Pending } from "@/components/InOrder";
import type { ProgramTests as Found, TestHistory } from "@/api/schema";
import { followLink, pipelineUrl } from "@/lib/location";
import { moment, duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import page from "@/programs/ProgramPage.module.css";
import { FlakySuggestions } from "@/test_results/FlakySuggestions";
import { OUTCOMES } from "@/test_results/model/tests";
import styles from "@/test_results/TestsPage.module.css";

const LIMIT = 20;
/** Number of pipelines of which outcomes are shown. */
const SHOWN = 60;

export function useProgramTests(id: string) {
  return useQuery({
    queryKey: ["program-tests", id],
    queryFn: ({ signal }) => api.programTests(id, { limit: LIMIT }, signal),
  });
}

/** The tests of a program that failed or were flaky lately, else the slowest; nothing without tests. */
export function ProgramTests({ id }: { id: string }) {
  const found = useProgramTests(id);
  if (found.isLoading) return <Pending />;
  if (found.data === undefined || found.data.tests.length === 0) return null;
  const { data } = found;
  const all = data.tests.length + data.more;
  return (
    <section aria-labelledby="tests">
      <div className={page.head}>
        <h2 id="tests">Tests</h2>
        <span className={page.note}>{`${plural(all, "test")}; failing and flaky ones first`}</span>
      </div>
      <table className="list">
        <thead>
          <tr>
            <th>Test</th>
            <th className={styles.wide}>Pipelines</th>
            <th className="list-number">Flaky</th>
            <th className="list-number">Median</th>
          </tr>
        </thead>
        <tbody>
          {data.tests.map((test) => (
            <Row key={test.name} test={test} data={data} />
          ))}
        </tbody>
      </table>
      <FlakySuggestions id={id} names={data.suggested} />
    </section>
  );
}

function Row({ test, data }: { test: TestHistory; data: Found }) {
  const quarantine = data.quarantines.find((each) => each.test === test.name);
  const start = Math.max(0, test.outcomes.length - SHOWN);
  return (
    <tr>
      <th scope="row">
        <span className={styles.name}>{visible(test.name)}</span>
        {quarantine === undefined ? null : (
          <span className="muted" title={quarantine.reason}>
            {` quarantined until ${moment(quarantine.until)}`}
          </span>
        )}
      </th>
      <td className={styles.wide}>
        <span className={styles.cells} aria-hidden>
          {Array.from(test.outcomes.slice(start)).map((letter, index) => {
            const pipeline = data.pipelines[start + index]?.id ?? "";
            return (
              <a
                key={pipeline}
                tabIndex={-1}
                href={`${pipelineUrl(pipeline)}/tests`}
                onClick={followLink}
                className={styles[`outcome-${letter === "-" ? "none" : letter}`]}
                title={`${pipeline}: ${OUTCOMES[letter] ?? ""}`}
              />
            );
          })}
        </span>
      </td>
      <td className="list-number">{test.flaky === 0 ? "" : test.flaky.toLocaleString("en")}</td>
      <td className="list-number">{test.seconds === 0 ? "" : duration(test.seconds)}</td>
    </tr>
  );
}
