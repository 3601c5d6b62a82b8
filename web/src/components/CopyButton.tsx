import { useState } from "react";

import { Button } from "@/components/Button";
import { toast } from "@/components/toasts";
import { copy } from "@/lib/clipboard";

interface Props {
  text: string;
  label: string;
  shortcut?: string;
  title?: string;
  /** What stands on the button. */
  words?: string;
}

/** Copies a text and says so. */
export function CopyButton({ text, label, shortcut, title, words = "Copy" }: Props) {
  const [copied, setCopied] = useState(false);
  const onClick = async () => {
    if (await copy(text)) {
      setCopied(true);
      window.setTimeout(() => setCopied(false), 2000);
    } else {
      toast("The browser does not let this page copy; select the text instead", "error");
    }
  };
  return (
    <Button
      look="quiet"
      onClick={onClick}
      aria-label={label}
      {...(shortcut === undefined ? {} : { shortcut })}
      {...(title === undefined ? {} : { title })}
    >
      {copied ? "Copied" : words}
    </Button>
  );
}
