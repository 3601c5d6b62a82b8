import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState } from "react";

import type { PipelineRecord, RunHistory } from "@/api/schema";
import { Button } from "@/components/Button";
import { toggled } from "@/lib/arrays";
import type { Program } from "@/programs/model/programs";
import { ProgramCard } from "@/run/list/ProgramCard";

/** Estimated height of a card in px, and the number of cards rendered outside the view. */
const CARD = 150;
const OVERSCAN = 4;

interface Props {
  programs: readonly Program[];
  /** Recent runs of a pipeline, if loaded. */
  historyOf: (pipeline: PipelineRecord) => RunHistory | undefined;
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
  /** Loads older pipelines; undefined if the list is complete. */
  onMore: (() => void) | undefined;
}

export function ProgramList({ programs, historyOf, chosen, onChoose, onMore }: Props) {
  const body = useRef<HTMLDivElement>(null);
  const [scroller, setScroller] = useState<HTMLElement | null>(null);
  const [margin, setMargin] = useState(0);
  const cards = useVirtualizer({
    count: programs.length,
    getScrollElement: () => scroller,
    getItemKey: (index) => programs[index]?.key ?? index,
    estimateSize: () => CARD,
    overscan: OVERSCAN,
    scrollMargin: margin,
    initialRect: { width: 0, height: window.innerHeight },
  });
  useLayoutEffect(() => {
    const found = body.current?.closest<HTMLElement>("main") ?? null;
    if (body.current === null || found === null) return;
    const top = body.current.getBoundingClientRect().top - found.getBoundingClientRect().top;
    setScroller(found);
    setMargin(top + found.scrollTop);
  }, [chosen.size]); // the action bar and the filters differ in height
  const shown = cards.getVirtualItems();
  const first = shown[0];
  const last = shown.at(-1);
  const above = first === undefined ? 0 : first.start - margin;
  const below = last === undefined ? 0 : cards.getTotalSize() - (last.end - margin);
  return (
    <div ref={body} style={{ paddingTop: above, paddingBottom: Math.max(0, below) }}>
      {shown.map(({ index, key }) => {
        const program = programs[index];
        const newest = program?.pipelines[0];
        return program === undefined || newest === undefined ? null : (
          <ProgramCard
            key={key}
            index={index}
            measure={cards.measureElement}
            program={program}
            history={historyOf(newest.pipeline)}
            chosen={chosen}
            onToggle={(id) => onChoose(toggled(chosen, id))}
          />
        );
      })}
      {onMore === undefined ? null : (
        <More
          programs={programs.length}
          inView={last !== undefined && last.index >= programs.length - 1}
          onMore={onMore}
        />
      )}
    </div>
  );
}

interface MoreProps {
  programs: number;
  inView: boolean;
  onMore: () => void;
}

/**
 * Loads older pipelines at the end of the list, as long as they bring new programs. Otherwise a list
 * of a few programs would load its whole history at once.
 */
function More({ programs, inView, onMore }: MoreProps) {
  const [loadedAt, setLoadedAt] = useState(0);
  const isAutomatic = programs > loadedAt;
  useEffect(() => {
    if (!inView || !isAutomatic) return;
    setLoadedAt(programs);
    onMore();
  }, [inView, isAutomatic, programs, onMore]);
  return isAutomatic ? (
    <p className="muted">Loading older pipelines…</p>
  ) : (
    <Button onClick={onMore}>Load older pipelines</Button>
  );
}
