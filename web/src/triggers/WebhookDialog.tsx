import type { NewTrigger } from "@/api/schema";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";
import { TRIGGERS } from "@/triggers/texts/triggers";

/** The address and the secret of a new webhook, which the server does not show again. */
export function WebhookDialog({ made, onClose }: { made: NewTrigger; onClose: () => void }) {
  return (
    <Dialog
      title={TRIGGERS.storedTitle(made.trigger.name)}
      onClose={onClose}
      footer={
        <Button variant="main" onClick={onClose}>
          {TRIGGERS.close}
        </Button>
      }
    >
      <div className="form">
        <div>
          {TRIGGERS.webhookAddress}
          <Code text={made.hook_url ?? ""} label={TRIGGERS.webhookAddress} />
        </div>
        <div>
          {TRIGGERS.webhookSecret}
          <Code text={made.secret ?? ""} label={TRIGGERS.webhookSecret} />
          <span className="muted">{TRIGGERS.webhookSecretHint}</span>
        </div>
        <p className="muted">{TRIGGERS.webhookEvents}</p>
      </div>
    </Dialog>
  );
}
