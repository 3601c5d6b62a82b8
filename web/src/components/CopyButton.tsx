import { useState } from "react";

import { Button } from "@/components/Button";
import { toast } from "@/components/toasts";
import { copy } from "@/lib/clipboard";
import { COMMON } from "@/strings/common";

interface Props {
  text: string;
  label: string;
  shortcut?: string;
  title?: string;
  /** Text of the button. */
  caption?: string;
}

export function CopyButton({ text, label, shortcut, title, caption = "Copy" }: Props) {
  const [copied, setCopied] = useState(false);
  const onClick = async () => {
    if (await copy(text)) {
      setCopied(true);
      window.setTimeout(() => setCopied(false), 2000);
    } else {
      toast(
        "The browser denied access to the clipboard. Select the text and copy it manually.",
        "error",
      );
    }
  };
  return (
    <Button
      variant="quiet"
      onClick={onClick}
      aria-label={label}
      {...(shortcut === undefined ? {} : { shortcut })}
      {...(title === undefined ? {} : { title })}
    >
      {copied ? COMMON.copied : caption}
    </Button>
  );
}
