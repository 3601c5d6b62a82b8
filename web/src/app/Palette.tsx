import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";

import { api, messageOf } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import type { PipelineSummary } from "@/api/schema";
import styles from "@/app/Palette.module.css";
import { ROUTES } from "@/app/routes";
import dialogStyles from "@/components/Dialog.module.css";
import { Icon } from "@/components/Icon";
import { offeredActions } from "@/components/offeredActions";
import { toast } from "@/components/toasts";
import { gitLaunchUrl, launchUrl, navigate, pipelineUrl } from "@/lib/location";
import { firstMatches } from "@/run/tree/live/search";
import { type Entry, matching, moved } from "@/app/model/palette";
import { pipelineState } from "@/run/model/pipelineStatus";
import { stateLabel } from "@/run/model/states";

const SECTIONS = {
  node: "This node",
  nodes: "Nodes",
  actions: "This pipeline",
  pipelines: "Pipelines",
  pages: "Pages",
};

const MAX_FOUND = 8;

/** Finds pipelines, nodes of the open pipeline, actions and pages, from the keyboard. */
export function Palette({ path, onClose }: { path: string; onClose: () => void }) {
  const [text, setText] = useState("");
  const [index, setIndex] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useId();
  const entries = useEntries(path, text.trim());
  const current = Math.min(index, Math.max(0, entries.length - 1));
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  useEffect(() => {
    dialog.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [current, entries]);
  const choose = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    onClose();
    entry.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "ArrowDown") setIndex(moved(current, 1, entries.length));
    else if (event.key === "ArrowUp") setIndex(moved(current, -1, entries.length));
    else if (event.key === "Enter") choose(entries[current]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog
      ref={dialog}
      className={`${dialogStyles.dialog} ${styles.dialog}`}
      aria-label="Command palette"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
      onKeyDown={onKeyDown}
    >
      <label className={styles.field}>
        <Icon name="search" />
        <input
          role="combobox"
          aria-label="Command palette"
          aria-expanded
          aria-controls={list}
          aria-activedescendant={entries.length === 0 ? undefined : `${list}-${current}`}
          placeholder="Pipelines, nodes, actions and pages"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setIndex(0);
          }}
        />
        <kbd aria-hidden>Esc</kbd>
      </label>
      <div id={list} role="listbox" aria-label="Results" className={styles.list}>
        {entries.map((entry, place) => (
          <Option
            key={`${entry.section} ${entry.id}`}
            id={`${list}-${place}`}
            entry={entry}
            heading={entries[place - 1]?.section !== entry.section}
            selected={place === current}
            onChoose={() => choose(entry)}
          />
        ))}
      </div>
      {entries.length === 0 ? <p className={styles.none}>Nothing found</p> : null}
    </dialog>
  );
}

interface OptionProps {
  id: string;
  entry: Entry;
  heading: boolean;
  selected: boolean;
  onChoose: () => void;
}

function Option({ id, entry, heading, selected, onChoose }: OptionProps) {
  return (
    <>
      {heading ? (
        <div className={styles.heading} role="presentation">
          {SECTIONS[entry.section]}
        </div>
      ) : null}
      <div
        id={id}
        role="option"
        aria-selected={selected}
        className={styles.option}
        onClick={onChoose}
      >
        <span className="clip">{entry.label}</span>
        {entry.hint === undefined ? null : <span className={styles.hint}>{entry.hint}</span>}
      </div>
    </>
  );
}

function useEntries(path: string, text: string): Entry[] {
  const open = /^\/p\/([^/]+)/.exec(path)?.[1];
  const id = open === undefined ? null : decodeURIComponent(open);
  const pipelines = useQuery({
    queryKey: ["palette", text],
    queryFn: ({ signal }) =>
      api.pipelines({ limit: MAX_FOUND, ...(text === "" ? {} : { text }) }, signal),
    placeholderData: keepPreviousData,
  });
  const nodes = useQuery({
    queryKey: ["palette", id, text],
    queryFn: () => firstMatches(id ?? "", { text, limit: MAX_FOUND }),
    enabled: id !== null && text !== "",
  });
  return matching(
    [
      ...offeredEntries(),
      ...(nodes.data ?? []).map((node) => nodeEntry(id ?? "", node.path)),
      ...(id === null ? [] : actionEntries(id)),
      // Those of an earlier text may not match: Enter must not open one of them.
      ...(pipelines.data?.pipelines ?? []).map((one) =>
        pipelineEntry(one, !pipelines.isPlaceholderData),
      ),
      ...pageEntries(),
    ],
    text,
  );
}

/** Actions on the open node. */
function offeredEntries(): Entry[] {
  return offeredActions().flatMap((one) =>
    one === "separator" || !("onSelect" in one)
      ? []
      : [{ section: "node" as const, id: one.label, label: one.label, run: one.onSelect }],
  );
}

function nodeEntry(id: string, path: string): Entry {
  return {
    section: "nodes",
    id: path,
    label: path,
    found: true,
    run: () => navigate(pipelineUrl(id, path)),
  };
}

function pipelineEntry(summary: PipelineSummary, found: boolean): Entry {
  const { id, title } = summary.pipeline;
  return {
    section: "pipelines",
    id,
    label: title,
    hint: `${stateLabel(pipelineState(summary))} ${id}`,
    found,
    run: () => navigate(pipelineUrl(id)),
  };
}

/** Views of a pipeline, and the actions that need no confirmation. */
function actionEntries(id: string): Entry[] {
  const base = pipelineUrl(id);
  const views = [
    { label: "Show the tree", to: base },
    { label: "Show the timeline", to: `${base}/timeline` },
    { label: "Show images", to: `${base}/images` },
    { label: "Show data", to: `${base}/data` },
    { label: "Launch again", to: launchUrl(id) },
  ];
  const actions = [
    { label: "Run this pipeline", action: "run", result: "Running" },
    {
      label: "Pause this pipeline",
      action: "pause",
      result: "Paused. Running commands will finish; no new ones start",
    },
  ] as const;
  return [
    ...views.map(({ label, to }) => action(label, () => navigate(to))),
    ...actions.map((one) =>
      action(one.label, () => {
        api
          .control(id, { action: one.action })
          .then(() => toast(one.result))
          .catch((error: unknown) => toast(messageOf(error), "error"));
      }),
    ),
  ];
}

function action(label: string, run: () => void): Entry {
  return { section: "actions", id: label, label, run };
}

function pageEntries(): Entry[] {
  const pages = ROUTES.flatMap(({ path, nav }) =>
    nav === undefined
      ? []
      : [{ section: "pages" as const, id: path, label: nav.label, run: () => navigate(path) }],
  );
  if (!IN_CLOUD) return pages;
  const to = gitLaunchUrl();
  const launch = { id: to, label: "Launch from Git", run: () => navigate(to) };
  return [...pages, { section: "pages", ...launch }];
}
