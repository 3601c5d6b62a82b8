import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { api, messageOf } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import type { PipelineSummary, State } from "@/api/schema";
import { Button } from "@/components/Button";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Icon } from "@/components/Icon";
import { IN_ORDER, Pending } from "@/components/InOrder";
import { lazily } from "@/components/lazily";
import { Loading } from "@/components/Loading";
import { PageStatus } from "@/components/PageStatus";
import { SearchField } from "@/components/SearchField";
import { StaleBadge } from "@/components/StaleBadge";
import { useTitle } from "@/components/useTitle";
import { gitLaunchUrl, navigate, setQuery, useLocation } from "@/lib/location";
import { groupByProgram } from "@/programs/model/programs";
import { organisationApi } from "@/people/api/organisation";
import { useWho } from "@/people/useWho";
import { BulkBar } from "@/run/list/BulkBar";
import { filterOf, NO_FILTER, ownersOf, periodOf, startOf } from "@/run/list/filter";
import { FirstSteps } from "@/run/list/FirstSteps";
import styles from "@/run/list/PipelinesPage.module.css";
import { ProgramList } from "@/run/list/ProgramList";
import { Toolbar } from "@/run/list/Toolbar";
import { type PipelineList, usePipelineList } from "@/run/list/usePipelineList";

const APPROVALS_MS = 10_000;
const WaitingApprovals = lazily(
  async () => (await import("@/approvals/WaitingApprovals")).WaitingApprovals,
  { placeholder: <Pending />, ahead: false },
);

export function PipelinesPage() {
  const { query } = useLocation();
  const filter = filterOf(query);
  const period = periodOf(query);
  const client = useQueryClient();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [opened] = useState(() => Date.now() / 1000);
  const list = usePipelineList(filter, startOf(period, opened));
  useTitle("Pipelines");

  const filtered = query.toString() !== "";
  const members = useQuery({
    queryKey: ["members"],
    queryFn: ({ signal }) => organisationApi.members(signal),
    enabled: IN_CLOUD,
  });
  const approvals = useQuery({
    queryKey: ["approvals"],
    queryFn: ({ signal }) => api.approvals(signal),
    refetchInterval: APPROVALS_MS,
  });
  const { pipelines } = list;
  const shown = pipelines ?? [];
  const selected = shown.filter((one) => chosen.has(one.pipeline.id));
  const isAllChosen = shown.length > 0 && selected.length === shown.length;
  const isFirstVisit = pipelines?.length === 0 && !filtered;
  return (
    <PageStatus error={list.error}>
      <header className={styles.head}>
        <h1>Pipelines</h1>
        <StaleBadge query={list} every={list.every} />
        <span className={styles.grow} />
        {isFirstVisit ? null : (
          <SearchField
            label="Search pipelines"
            placeholder="Title, id, tag or program"
            text={filter.text ?? ""}
            onChange={(text) => setQuery({ text }, true)}
          />
        )}
        {IN_CLOUD ? <LaunchFromGit /> : null}
      </header>
      {selected.length > 0 ? (
        <BulkBar
          pipelines={selected}
          onDone={() => {
            setChosen(new Set());
            void client.invalidateQueries({ queryKey: ["pipelines"] });
          }}
        />
      ) : isFirstVisit ? null : (
        <Toolbar
          filter={filter}
          period={period}
          owners={ownersOf(shown, members.data?.members ?? [])}
          counts={filter.state === undefined ? countStates(shown) : null}
          isPart={list.hasMore}
          selectAll={{
            checked: isAllChosen,
            disabled: shown.length === 0,
            onToggle: () => setChosen(new Set(shown.map((one) => one.pipeline.id))),
          }}
        />
      )}
      <div className={`${styles.body ?? ""} ${IN_ORDER}`}>
        {pipelines === undefined || !approvals.data?.length ? null : (
          <WaitingApprovals approvals={approvals.data} />
        )}
        <ListBody
          list={list}
          // Approvals appear above the list together with it, unless they cannot be read.
          isLoading={approvals.isPending && !approvals.failureCount}
          filtered={filtered}
          chosen={chosen}
          onChoose={setChosen}
        />
      </div>
    </PageStatus>
  );
}

function LaunchFromGit() {
  if (!useWho().mayLaunch) return null;
  return (
    <Button onClick={() => navigate(gitLaunchUrl())}>
      <Icon name="branch" />
      <span className={styles.long}>Launch from Git</span>
      <span className={styles.short}>Launch</span>
    </Button>
  );
}

/** The states as the filter names them. */
function countStates(pipelines: readonly PipelineSummary[]): ReadonlyMap<State, number> {
  const counts = new Map<State, number>();
  for (const { state } of pipelines) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

interface BodyProps {
  list: PipelineList;
  isLoading: boolean;
  filtered: boolean;
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
}

function ListBody({ list, isLoading, filtered, chosen, onChoose }: BodyProps) {
  const { pipelines, error } = list;
  const programs = useMemo(() => groupByProgram(pipelines ?? []), [pipelines]);
  if (pipelines === undefined && error !== null) {
    return <LoadError message={messageOf(error)} onRetry={list.retry} />;
  }
  if (pipelines === undefined || isLoading) {
    return (
      <div className="card">
        <Loading rows={12} />
      </div>
    );
  }
  if (pipelines.length > 0) {
    return (
      <ProgramList
        programs={programs}
        historyOf={list.historyOf}
        chosen={chosen}
        onChoose={onChoose}
        onMore={list.hasMore ? list.loadMore : undefined}
      />
    );
  }
  return filtered ? (
    <EmptyState
      icon="filter"
      title="No matching pipelines"
      text="The search covers ids, titles, tags and programs. Archived pipelines have a filter of their own."
      action={<Button onClick={() => setQuery(NO_FILTER)}>Clear filters</Button>}
    />
  ) : (
    <FirstSteps />
  );
}
