import "@/pages/pipelines/pipelines.css";

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type ListQuery, messageOf } from "@/api/client";
import type { State } from "@/api/schema";
import { EmptyState, LoadError } from "@/components/EmptyState";
import { Loading } from "@/components/Loading";
import { PageStatus } from "@/components/PageStatus";
import { useTitle } from "@/components/useTitle";
import { setQuery, useLocation } from "@/lib/location";
import { stateLabel, STATES } from "@/model/states";
import { BulkBar } from "@/pages/pipelines/BulkBar";
import { FirstSteps } from "@/pages/pipelines/FirstSteps";
import { PipelineTable } from "@/pages/pipelines/PipelineTable";
import { type PipelineList, usePipelineList } from "@/pages/pipelines/usePipelineList";

export function PipelinesPage() {
  const { query } = useLocation();
  const filter = filterOf(query);
  const client = useQueryClient();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const list = usePipelineList(filter);
  useTitle("Pipelines");

  const filtered = query.toString() !== "";
  const { pipelines } = list;
  const selected = (pipelines ?? []).filter((one) => chosen.has(one.pipeline.id));
  return (
    <PageStatus error={list.error} known={pipelines !== undefined}>
      <div className="pipelines">
        <h1 className="sr-only">Pipelines</h1>
        {selected.length > 0 ? (
          <BulkBar
            pipelines={selected}
            onDone={() => {
              setChosen(new Set());
              void client.invalidateQueries({ queryKey: ["pipelines"] });
            }}
          />
        ) : pipelines?.length === 0 && !filtered ? null : (
          <Filters filter={filter} />
        )}
        <ListBody list={list} filtered={filtered} chosen={chosen} onChoose={setChosen} />
      </div>
    </PageStatus>
  );
}

interface BodyProps {
  list: PipelineList;
  filtered: boolean;
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
}

function ListBody({ list, filtered, chosen, onChoose }: BodyProps) {
  const { pipelines, error } = list;
  if (pipelines === undefined) {
    return error === null ? (
      <div className="card">
        <Loading rows={12} />
      </div>
    ) : (
      <LoadError message={messageOf(error)} onRetry={list.retry} />
    );
  }
  if (pipelines.length === 0) {
    return !filtered ? (
      <FirstSteps />
    ) : (
      <EmptyState title="No matching pipelines">
        <button
          type="button"
          className="button button-plain"
          onClick={() => setQuery({ text: null, state: null, tag: null, lifecycle: null })}
        >
          Clear filters
        </button>
      </EmptyState>
    );
  }
  return (
    <PipelineTable
      pipelines={pipelines}
      historyOf={list.historyOf}
      chosen={chosen}
      onChoose={onChoose}
      {...(list.hasMore ? { onEnd: list.loadMore } : {})}
    />
  );
}

type Lifecycle = NonNullable<ListQuery["lifecycle"]>;
const LIFECYCLES: readonly Lifecycle[] = ["listed", "active", "sleeping", "archived", "all"];

interface Filter {
  text?: string;
  state?: State;
  tag?: string;
  lifecycle?: Lifecycle;
}

function filterOf(query: URLSearchParams): Filter {
  const text = query.get("text");
  const tag = query.get("tag");
  const state = STATES.find((one) => one === query.get("state"));
  const lifecycle = LIFECYCLES.find((one) => one === query.get("lifecycle"));
  return {
    ...(text === null ? {} : { text }),
    ...(tag === null ? {} : { tag }),
    ...(state === undefined ? {} : { state }),
    ...(lifecycle === undefined ? {} : { lifecycle }),
  };
}

const LIFECYCLE_LABELS: Record<Lifecycle, string> = {
  listed: "not archived",
  active: "active",
  sleeping: "sleeping",
  archived: "archived",
  all: "all",
};

function Filters({ filter }: { filter: Filter }) {
  return (
    <form className="pipelines-filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <input
        className="field pipelines-search"
        type="search"
        placeholder="Title, id, tag or program"
        aria-label="Search pipelines"
        value={filter.text ?? ""}
        onChange={(event) => setQuery({ text: event.target.value }, true)}
      />
      <select
        className="field"
        aria-label="State"
        value={filter.state ?? ""}
        onChange={(event) => setQuery({ state: event.target.value })}
      >
        <option value="">any state</option>
        {STATES.map((state) => (
          <option key={state} value={state}>
            {stateLabel(state)}
          </option>
        ))}
      </select>
      <select
        className="field"
        aria-label="Lifecycle"
        value={filter.lifecycle ?? "listed"}
        onChange={(event) =>
          setQuery({ lifecycle: event.target.value === "listed" ? null : event.target.value })
        }
      >
        {LIFECYCLES.map((one) => (
          <option key={one} value={one}>
            {LIFECYCLE_LABELS[one]}
          </option>
        ))}
      </select>
      {filter.tag === undefined ? null : (
        <button
          type="button"
          className="button button-plain"
          aria-label={`Remove the filter for tag ${filter.tag}`}
          onClick={() => setQuery({ tag: null })}
        >
          tag {filter.tag} ×
        </button>
      )}
    </form>
  );
}
