import { useQuery } from "@tanstack/react-query";

import { api } from "@/api/client";
import { CoverageSection } from "@/coverage/CoverageSection";
import type { PipelineSummary, PipelineTest, PipelineTests } from "@/api/schema";
import { EmptyState } from "@/components/EmptyState";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StateIcon } from "@/components/StateIcon";
import { followLink, type PageProps, pipelineUrl, setQuery, useLocation } from "@/lib/location";
import { duration, plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import program from "@/programs/ProgramPage.module.css";
import { ROOT } from "@/run/model/paths";
import { PipelineFrame } from "@/run/page/PipelineFrame";
import { FlakySuggestions } from "@/test_results/FlakySuggestions";
import { filterIn, FILTERS, labelsOf, STATES, summaryOf } from "@/test_results/model/tests";
import styles from "@/test_results/TestsPage.module.css";

const REFRESH_MS = 5000;

/** The tests of a pipeline: failures first, with their messages. */
export function TestsPage({ params }: PageProps) {
  const id = params.id ?? "";
  return (
    <PipelineFrame id={id} page="tests" title="Tests">
      {(summary) => (
        <>
          <CoverageSection summary={summary} />
          <Tests summary={summary} />
        </>
      )}
    </PipelineFrame>
  );
}

function Tests({ summary }: { summary: PipelineSummary }) {
  const { id } = summary.pipeline;
  const { query } = useLocation();
  const only = filterIn(query.get("only"));
  const found = useQuery({
    queryKey: ["tests", id, only],
    queryFn: ({ signal }) => api.pipelineTests(id, { only }, signal),
    refetchInterval: summary.settled ? false : REFRESH_MS,
  });
  if (found.data === undefined) return <QueryPlaceholder query={found} />;
  const { data } = found;
  if (data.nodes === 0) {
    return (
      <EmptyState
        icon="list"
        title="No tests yet"
        text="Failing, flaky and slow tests appear here once commands say where they write JUnit files, and covered lines once they say where they write coverage files."
        example={'co.Exec("pytest --junit-xml=reports/unit.xml", junit="reports/*.xml")'}
        docs="concepts/tests"
      />
    );
  }
  return (
    <div className={styles.tests}>
      <Head data={data} only={only} />
      {data.problems.map((problem) => (
        <p key={problem} className="muted">
          {visible(problem)}
        </p>
      ))}
      {data.tests.length === 0 ? (
        <p className="muted">No test matches.</p>
      ) : (
        <ul className={styles.list} aria-label="Tests">
          {data.tests.map((test) => (
            <Test key={`${test.path} ${test.name}`} id={id} test={test} />
          ))}
        </ul>
      )}
      {data.more === 0 ? null : <p className="muted">{`${data.more.toLocaleString("en")} more`}</p>}
      <FlakySuggestions id={id} names={data.suggested} />
    </div>
  );
}

function Head({ data, only }: { data: PipelineTests; only: string }) {
  return (
    <div className={styles.head}>
      <strong>{summaryOf(data)}</strong>
      <span className="muted">
        {`${duration(data.counts.seconds)} in ${plural(data.nodes, "command")}`}
      </span>
      <div role="group" aria-label="Filter" className={program.counts}>
        {FILTERS.map(({ value, label }) => (
          <button
            key={value}
            type="button"
            aria-pressed={value === only}
            onClick={() => setQuery({ only: value === "all" ? null : value }, true)}
          >
            {label}
          </button>
        ))}
      </div>
    </div>
  );
}

function Test({ id, test }: { id: string; test: PipelineTest }) {
  const { name, outcome, path, seconds, message, output } = test;
  const state = STATES[outcome];
  return (
    <li className={`${styles.test} ${outcome === "failed" ? styles.failed : ""}`}>
      <div className={styles.line}>
        <span className={`state state-${state}`}>
          <StateIcon state={state} />
          {labelsOf(test)}
        </span>
        <span className={styles.name}>{visible(name)}</span>
        <a href={pipelineUrl(id, path)} onClick={followLink}>
          {path === ROOT ? "Command" : visible(path)}
        </a>
        <span className={styles.seconds}>{duration(seconds)}</span>
      </div>
      {outcome === "passed" || message === "" ? null : (
        <p className={styles.message}>{visible(message)}</p>
      )}
      {output === "" || output === message ? null : (
        <details>
          <summary>Output</summary>
          <pre className={styles.output}>{output}</pre>
        </details>
      )}
    </li>
  );
}
