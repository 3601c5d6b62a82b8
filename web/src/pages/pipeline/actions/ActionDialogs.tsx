import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { KilledNote } from "@/components/KilledNote";
import { plural } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { ModifyDialog } from "@/pages/pipeline/actions/ModifyDialog";
import type { Actions, Confirmation } from "@/pages/pipeline/actions/useActions";

const MAX_SHOWN = 8;

/** Confirmation and edit dialogs of actions. */
export function ActionDialogs({
  session,
  actions,
}: {
  session: PipelineSession;
  actions: Actions;
}) {
  return (
    <>
      {actions.confirmation === null ? null : (
        <ConfirmDialog question={actions.confirmation} actions={actions} />
      )}
      {actions.modifying === null ? null : (
        <ModifyDialog session={session} paths={actions.modifying} onClose={actions.dismiss} />
      )}
    </>
  );
}

function ConfirmDialog({ question, actions }: { question: Confirmation; actions: Actions }) {
  const { request, preview } = question;
  const verb = request.action.charAt(0).toUpperCase() + request.action.slice(1);
  const subject = preview.affected === 0 ? "this pipeline" : plural(preview.affected, "command");
  const rest = preview.affected - Math.min(MAX_SHOWN, preview.paths.length);
  return (
    <Dialog
      title={`${verb} ${subject}?`}
      onClose={actions.dismiss}
      footer={
        <>
          <Button onClick={actions.dismiss}>Cancel</Button>
          <Button variant="main" data-first onClick={() => void actions.confirm()}>
            {verb} {subject}
          </Button>
        </>
      }
    >
      <KilledNote count={preview.stopped} />
      {preview.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
      {preview.paths.length === 0 ? null : (
        <ul className="consent-paths mono">
          {preview.paths.slice(0, MAX_SHOWN).map((path) => (
            <li key={path}>{path}</li>
          ))}
          {rest > 0 ? <li className="muted">and {rest.toLocaleString("en")} more</li> : null}
        </ul>
      )}
    </Dialog>
  );
}
