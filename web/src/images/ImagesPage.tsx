import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "@/api/client";
import type { ImageRecord, PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { CopyButton } from "@/components/CopyButton";
import { EmptyState } from "@/components/EmptyState";
import styles from "@/images/ImagesPage.module.css";
import { PipelineFrame } from "@/run/page/PipelineFrame";
import messageStyles from "@/run/node/ErrorMessage.module.css";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { StaleBadge } from "@/components/StaleBadge";
import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { type PageProps, setQuery, useLocation } from "@/lib/location";
import { duration, elapsed, moment } from "@/lib/time";
import { usedImages } from "@/images/model/images";
import { BuildLogView } from "@/images/BuildLogView";
import { RebuildDialog } from "@/images/RebuildDialog";

const REFRESH_MS = 1500;

export function ImagesPage({ params }: PageProps) {
  const id = params.id ?? "";
  return (
    <PipelineFrame id={id} page="images" title="Images">
      {(summary) => <Images summary={summary} />}
    </PipelineFrame>
  );
}

function Images({ summary }: { summary: PipelineSummary }) {
  const { id } = summary.pipeline;
  const { query } = useLocation();
  const [rebuilding, setRebuilding] = useState<string | null>(null);
  const list = useQuery({
    queryKey: ["images", id],
    queryFn: ({ signal }) => api.images(id, signal),
    refetchInterval: REFRESH_MS,
  });
  if (list.data === undefined) {
    return <QueryPlaceholder query={list} />;
  }
  const images = usedImages(summary.pipeline, list.data.images);
  if (images.length === 0) {
    const plain = summary.pipeline.engine === "process";
    return (
      <EmptyState
        icon="image"
        title="This pipeline has no images"
        text={`${
          plain
            ? "Its commands run as plain processes on this machine."
            : "None of its commands uses an image."
        } The builds of images, their steps and logs appear here.`}
        example={'co.Exec("pytest", image=co.Image("python:3.11-slim", copy_dir="."))'}
        docs="concepts/images"
      />
    );
  }
  const opened = images.find((one) => one.name === query.get("image")) ?? defaultImage(images);
  return (
    <div className={styles.images}>
      <StaleBadge query={list} every={REFRESH_MS} />
      <ul className={styles.list} aria-label="Images">
        {images.map((image) => (
          <ImageRow key={image.name} image={image} opened={image === opened} />
        ))}
      </ul>
      {opened === undefined ? null : (
        <ImagePane
          key={opened.name}
          id={id}
          image={opened}
          onRebuild={() => setRebuilding(opened.name)}
        />
      )}
      {rebuilding === null ? null : (
        <RebuildDialog summary={summary} image={rebuilding} onClose={() => setRebuilding(null)} />
      )}
    </div>
  );
}

/** A failed image, otherwise one that is being built, otherwise the first. */
function defaultImage(images: readonly ImageRecord[]): ImageRecord | undefined {
  return (
    images.find((one) => one.state === "error") ??
    images.find((one) => isBuilding(one)) ??
    images[0]
  );
}

function isBuilding({ state }: ImageRecord): boolean {
  return state !== "pending" && state !== "done" && state !== "error";
}

function ImageRow({ image, opened }: { image: ImageRecord; opened: boolean }) {
  return (
    <li>
      <button
        type="button"
        className={styles.row}
        {...(opened ? { "aria-current": true } : {})}
        onClick={() => setQuery({ image: image.name }, true)}
      >
        <ImageState image={image} />
        <span className={`${styles.name} clip`} title={image.name}>
          {image.name}
        </span>
        <Took image={image} />
      </button>
    </li>
  );
}

/** The state of an image, or the current build step. */
function ImageState({ image }: { image: ImageRecord }) {
  const { state } = image;
  const mark = isBuilding(image) ? (state === "queued" ? "queued" : "running") : state;
  if (mark !== "pending" && mark !== "queued" && mark !== "done" && mark !== "error") {
    return (
      <span className="state state-running">
        <StateIcon state="running" />
        {state}
      </span>
    );
  }
  return (
    <span className={`state state-${mark}`}>
      <StateIcon state={mark} />
      {mark === "error" ? "build failed" : mark === "done" ? "built" : mark}
    </span>
  );
}

function Took({ image }: { image: ImageRecord }) {
  const now = useNow(isBuilding(image));
  const took = elapsed(image.started, image.ended, now);
  return took === null ? null : <span className="muted number">{duration(took)}</span>;
}

interface PaneProps {
  id: string;
  image: ImageRecord;
  onRebuild: () => void;
}

function ImagePane({ id, image, onRebuild }: PaneProps) {
  return (
    <section className={styles.pane} aria-label={`Image ${image.name}`}>
      <div className={styles.head}>
        <h2 className="clip" title={image.name}>
          {image.name}
        </h2>
        <ImageState image={image} />
        <span className="page-grow" />
        <Button onClick={onRebuild}>Rebuild</Button>
      </div>
      <dl className={styles.facts}>
        {image.reference === null || image.reference === "" ? null : (
          <div>
            <dt>Reference</dt>
            <dd className="mono">
              {image.reference} <CopyButton text={image.reference} label="Copy image reference" />
            </dd>
          </div>
        )}
        {image.started === null ? null : (
          <div>
            <dt>Started</dt>
            <dd className="number">
              {moment(image.started)}
              {image.ended === null
                ? ""
                : `, took ${duration(Math.max(0, image.ended - image.started))}`}
            </dd>
          </div>
        )}
      </dl>
      {image.error === null ? null : (
        <pre className={messageStyles.message} role="alert" tabIndex={0}>
          {image.error}
        </pre>
      )}
      <BuildLogView id={id} image={image.name} state={image.state} />
    </section>
  );
}
