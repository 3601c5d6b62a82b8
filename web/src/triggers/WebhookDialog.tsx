import type { NewTrigger } from "@/api/schema";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";

/** The address and the secret of a new webhook, which the server does not show again. */
export function WebhookDialog({ made, onClose }: { made: NewTrigger; onClose: () => void }) {
  return (
    <Dialog
      title={`Create a webhook for ${made.trigger.name}`}
      onClose={onClose}
      footer={
        <Button variant="main" onClick={onClose}>
          Close
        </Button>
      }
    >
      <div className="form">
        <div>
          Address of the webhook
          <Code text={made.hook_url ?? ""} label="Address of the webhook" />
        </div>
        <div>
          Secret of the webhook
          <Code text={made.secret ?? ""} label="Secret of the webhook" />
          <span className="muted">It is shown once.</span>
        </div>
        <p className="muted">
          Events: pushes, pull requests, branches and tags. Content type: application/json.
        </p>
      </div>
    </Dialog>
  );
}
