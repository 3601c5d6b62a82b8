import { useState, type ReactNode } from "react";

import { api } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import { Button } from "@/components/Button";
import { Code } from "@/components/Code";
import { Dialog } from "@/components/Dialog";
import { Icon } from "@/components/Icon";
import { toast } from "@/components/toasts";
import { copy } from "@/lib/clipboard";
import { sharedUrl } from "@/run/model/sharing";
import styles from "@/run/page/Share.module.css";
import { SHARE } from "@/app/texts";

/**
 * Copies a link to the page. Only this machine can open a link to a local agent, so there a dialog
 * offers the report as one file.
 */
export function useShare(id: string): { share: () => void; dialog: ReactNode } {
  const [open, setOpen] = useState(false);
  const share = async () => {
    if (IN_CLOUD && (await copy(sharedUrl(location.href)))) toast(SHARE.copied);
    else setOpen(true);
  };
  return {
    share: () => void share(),
    dialog: open ? <ShareDialog id={id} onClose={() => setOpen(false)} /> : null,
  };
}

export function ShareButton({ onClick }: { onClick: () => void }) {
  return (
    <Button
      variant="quiet"
      className={styles.button ?? ""}
      aria-label={SHARE.title}
      title={SHARE.title}
      onClick={onClick}
    >
      <Icon name="share" />
    </Button>
  );
}

function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  return (
    <Dialog title={SHARE.title} onClose={onClose}>
      <p>{IN_CLOUD ? SHARE.organisation : SHARE.thisMachine}</p>
      <Code text={sharedUrl(location.href)} label={SHARE.link} />
      {IN_CLOUD ? null : (
        <>
          <p>{SHARE.others}</p>
          <a className={styles.download} href={api.exportFile(id)} download>
            {SHARE.download}
          </a>
        </>
      )}
    </Dialog>
  );
}
