import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api } from "@/api/client";
import type { Changes, ControlResult, NodeDetail } from "@/api/schema";
import { ActionPreview } from "@/components/ActionPreview";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { Dialog } from "@/components/Dialog";
import { submitWithCtrlEnter } from "@/components/submitWithCtrlEnter";
import { Change, FactsTable } from "@/components/Facts";
import { QueryPlaceholder } from "@/components/QueryPlaceholder";
import { toast } from "@/components/toasts";
import { plural } from "@/lib/time";
import { visible } from "@/lib/visible";
import type { PipelineSession } from "@/run/live/session";
import { changesOf, formOf, type ModifyForm } from "@/run/actions/model/modify";
import { type ActionTarget, othersStarted } from "@/run/actions/useActions";
import { ModifyFields } from "@/run/actions/ModifyFields";

interface Props {
  session: PipelineSession;
  target: ActionTarget;
  paths: readonly string[];
  onClose: () => void;
}

/** Edits parameters. The server validates them and previews the effect. */
export function ModifyDialog({ session, target, paths, onClose }: Props) {
  const [path = "/"] = paths;
  const detail = useQuery({
    queryKey: ["modify", session.id, path],
    queryFn: ({ signal }) => api.node(session.id, path, signal),
    gcTime: 0,
    staleTime: Infinity,
  });
  const title =
    paths.length === 1 ? `Modify ${visible(path)}` : `Modify ${plural(paths.length, "node")}`;
  if (detail.data === undefined) {
    return (
      <Dialog title={title} onClose={onClose}>
        <QueryPlaceholder query={detail} />
      </Dialog>
    );
  }
  return (
    <Editor
      title={title}
      session={session}
      target={target}
      detail={detail.data}
      paths={paths}
      onClose={onClose}
    />
  );
}

interface EditorProps extends Props {
  title: string;
  detail: NodeDetail;
}

function Editor({ title, session, target, detail, paths, onClose }: EditorProps) {
  const before = formOf(detail);
  const [form, setForm] = useState<ModifyForm>(before);
  const changes = changesOf(before, form);
  const count = Object.keys(changes).length;
  const request = { action: "modify" as const, paths: [...paths], changes: changes as Changes };
  const preview = useMutation({
    mutationFn: () => api.control(session.id, { ...request, preview: true }),
  });
  const apply = useMutation({
    mutationFn: async (reruns: boolean) => {
      const result = await api.control(session.id, request);
      if (reruns) await api.control(session.id, { action: "rerun", paths: [...paths] });
      return { result, reruns };
    },
    onSuccess: ({ result, reruns }) => {
      const what = reruns ? "Modified; rerunning" : "Modified";
      toast(`${what} ${plural(result.affected, "command")}`);
      for (const note of result.notes) toast(note);
      onClose();
    },
  });
  const error = apply.error ?? preview.error;
  const change = (next: ModifyForm) => {
    setForm(next);
    preview.reset();
    apply.reset();
  };
  const busy = preview.isPending || apply.isPending;
  const others = othersStarted(target);
  return (
    <Dialog
      wide
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button disabled={count === 0 || busy} onClick={() => preview.mutate()}>
            Check
          </Button>
          <Button disabled={count === 0 || busy} onClick={() => apply.mutate(false)}>
            Modify
          </Button>
          <Button
            variant="main"
            shortcut="Control+Enter"
            disabled={count === 0 || busy}
            onClick={() => apply.mutate(true)}
          >
            Modify and rerun
          </Button>
        </>
      }
    >
      <p className="muted">
        Changes apply to this pipeline from the next start of a command. Your script stays
        unchanged.
      </p>
      <form
        onKeyDown={submitWithCtrlEnter}
        onSubmit={(event) => {
          event.preventDefault();
          if (count > 0 && !busy) apply.mutate(true);
        }}
      >
        <ModifyFields
          form={form}
          isExec={detail.node.type === "Exec"}
          images={(session.model?.summary.images ?? []).map((image) => image.name)}
          onChange={change}
        />
      </form>
      {count === 0 ? null : <Diff before={before} changes={changes} />}
      {others === 0 ? null : (
        <p>
          The pipeline is paused. "Modify and rerun" runs it, with{" "}
          {plural(others, "other pending command")}.
        </p>
      )}
      {preview.data === undefined ? null : <Preview preview={preview.data} />}
      <FormError error={error} />
    </Dialog>
  );
}

function Diff({ before, changes }: { before: ModifyForm; changes: Partial<Changes> }) {
  const lines: [string, string | undefined, string][] = [];
  for (const [name, value] of Object.entries(changes)) {
    if (name === "env") continue;
    lines.push([name, before.values[name as keyof ModifyForm["values"]], text(value)]);
  }
  for (const [name, value] of Object.entries(changes.env ?? {})) {
    const old = before.env.find((one) => one.name === name)?.value;
    lines.push([`env ${name}`, old, value ?? "removed"]);
  }
  return (
    <FactsTable
      label="Changes"
      rows={lines.map(([name, old = "", now]) => [
        name,
        <Change key={name} before={old === "" ? null : old} after={now} />,
      ])}
    />
  );
}

function text(value: unknown): string {
  if (value === null) return "inherited or default";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function Preview({ preview }: { preview: ControlResult }) {
  return (
    <div role="status">
      <p>{`Valid. Applies to ${plural(preview.affected, "command")}.`}</p>
      <ActionPreview preview={preview} />
    </div>
  );
}
