import { ActionPreview, PathList } from "@/components/ActionPreview";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { plural } from "@/lib/time";
import type { Actions, Confirmation } from "@/run/actions/useActions";

const VERBS = {
  run: "Run",
  pause: "Pause",
  cancel: "Cancel",
  reset: "Reset",
  rerun: "Rerun",
  skip: "Skip",
  unskip: "Unskip",
  kill: "Kill",
  modify: "Modify",
  rebuild: "Rebuild and rerun",
  sleep: "Sleep",
  wake: "Wake",
  archive: "Archive",
};

/** Asks before an action that affects more than the user may expect. */
export function ConfirmAction({ actions }: { actions: Actions }) {
  const { confirmation } = actions;
  return confirmation === null ? null : <Confirm confirmation={confirmation} actions={actions} />;
}

function Confirm({ confirmation, actions }: { confirmation: Confirmation; actions: Actions }) {
  const { request, preview } = confirmation;
  const verb = VERBS[request.action];
  const whole = preview.affected === 0 || request.paths === undefined;
  const subject = whole ? "this pipeline" : plural(preview.affected, "command");
  return (
    <ConfirmDialog
      title={`${verb} ${subject}?`}
      action={`${verb} ${subject}`}
      danger={request.action === "cancel" || request.action === "kill"}
      {...(request.action === "cancel" ? { dismiss: "Keep running" } : {})}
      onConfirm={() => void actions.confirm()}
      onClose={actions.dismiss}
    >
      <ActionPreview preview={preview} />
      <PathList paths={preview.paths} total={preview.affected} />
    </ConfirmDialog>
  );
}
