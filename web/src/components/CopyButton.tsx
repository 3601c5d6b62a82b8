import { useState } from "react";

import { Button } from "@/components/Button";
import { Icon } from "@/components/Icon";
import { toast } from "@/components/toasts";
import { copy } from "@/lib/clipboard";

interface Props {
  text: string;
  label: string;
  shortcut?: string;
  title?: string;
  /** Text of the button instead of an icon. */
  caption?: string;
}

export function CopyButton({ text, label, shortcut, title, caption }: Props) {
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
      title={title ?? label}
    >
      {copied ? "Copied" : (caption ?? <Icon name="copy" />)}
    </Button>
  );
}
