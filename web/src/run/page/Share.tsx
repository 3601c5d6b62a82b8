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

/**
 * Copies a link to the page. Only this machine can open a link to a local agent, so there a dialog
 * offers the report as one file.
 */
export function useShare(id: string): { share: () => void; dialog: ReactNode } {
  const [open, setOpen] = useState(false);
  const share = async () => {
    if (IN_CLOUD && (await copy(sharedUrl(location.href))))
      toast("Link copied. Members of your organisation can open it");
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
      aria-label="Share"
      title="Share"
      onClick={onClick}
    >
      <Icon name="share" />
    </Button>
  );
}

function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  return (
    <Dialog title="Share" onClose={onClose}>
      <p>
        {IN_CLOUD
          ? "Members of your organisation can open this link:"
          : "This pipeline is on your machine, and only your browser there can open this link:"}
      </p>
      <Code text={sharedUrl(location.href)} label="link" />
      {IN_CLOUD ? null : (
        <>
          <p>
            For other people, download the report: one HTML file with the tree, times and output.
          </p>
          <a className={styles.download} href={api.exportFile(id)} download>
            Download report
          </a>
        </>
      )}
    </Dialog>
  );
}
