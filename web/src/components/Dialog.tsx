import { useEffect, useId, useRef, type ReactNode } from "react";

import { Button } from "@/components/Button";
import styles from "@/components/Dialog.module.css";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** Buttons, primary one last. Without a footer, the dialog has a close button in the corner. */
  footer?: ReactNode;
  wide?: boolean;
}

/**
 * The newest element outside of dialogs that had the focus. A button that is disabled until its
 * dialog opens has lost the focus by then.
 */
let newest: WeakRef<HTMLElement> | null = null;
document.addEventListener("focusin", ({ target }) => {
  if (target instanceof HTMLElement && target.closest("dialog") === null) {
    newest = new WeakRef(target);
  }
});

/** The element that a dialog returns the focus to. */
function focused(): HTMLElement | null {
  const active = document.activeElement;
  if (active === null || active === document.body) return newest?.deref() ?? null;
  return active instanceof HTMLElement ? active : null;
}

/**
 * A modal dialog. Focus starts at the element with `data-first`, otherwise at the first control.
 */
export function Dialog({ title, onClose, children, footer, wide = false }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = ref.current;
    const before = focused();
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      dialog?.close();
      before?.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={`${styles.dialog} ${wide ? styles.wide : ""}`}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
      // Keep keyboard shortcuts of the page from running.
      onKeyDown={(event) => event.stopPropagation()}
    >
      <div className={styles.body}>
        <div className={styles.head}>
          <h2 id={heading}>{title}</h2>
          {footer === undefined ? (
            <Button variant="quiet" className={styles.close} aria-label="Close" onClick={onClose}>
              ×
            </Button>
          ) : null}
        </div>
        {children}
        {footer === undefined ? null : <div className={styles.footer}>{footer}</div>}
      </div>
    </dialog>
  );
}
