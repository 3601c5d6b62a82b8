import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { plural } from "@/lib/time";
import type { PipelineSession } from "@/live/session";
import { ModifyDialog } from "@/pages/pipeline/orders/ModifyDialog";
import type { Orders, Question } from "@/pages/pipeline/orders/useOrders";

const SHOWN = 8;

/** The dialogs of orders: what one would touch, and new values of parameters. */
export function OrderDialogs({ session, orders }: { session: PipelineSession; orders: Orders }) {
  return (
    <>
      {orders.question === null ? null : <Consent question={orders.question} orders={orders} />}
      {orders.modifying === null ? null : (
        <ModifyDialog session={session} paths={orders.modifying} onClose={orders.dismiss} />
      )}
    </>
  );
}

function Consent({ question, orders }: { question: Question; orders: Orders }) {
  const { order, preview } = question;
  const verb = order.action.charAt(0).toUpperCase() + order.action.slice(1);
  const subject = preview.affected === 0 ? "this pipeline" : plural(preview.affected, "Exec");
  const rest = preview.affected - Math.min(SHOWN, preview.paths.length);
  return (
    <Dialog
      title={`${verb} ${subject}?`}
      onClose={orders.dismiss}
      footer={
        <>
          <Button onClick={orders.dismiss}>Cancel</Button>
          <Button look="main" data-first onClick={() => void orders.confirm()}>
            {verb} {subject}
          </Button>
        </>
      }
    >
      {preview.stopped > 0 ? (
        <p className="state-killed">
          {plural(preview.stopped, "Exec")} of them {preview.stopped === 1 ? "runs" : "run"} now and
          will be ended.
        </p>
      ) : null}
      {preview.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
      {preview.paths.length === 0 ? null : (
        <ul className="consent-paths mono">
          {preview.paths.slice(0, SHOWN).map((path) => (
            <li key={path}>{path}</li>
          ))}
          {rest > 0 ? <li className="muted">and {rest.toLocaleString("en")} more</li> : null}
        </ul>
      )}
    </Dialog>
  );
}
