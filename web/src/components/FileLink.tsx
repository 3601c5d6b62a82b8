import type { MouseEvent } from "react";

import { messageOf } from "@/api/client";
import { waitUntilReady } from "@/data/api/data";
import { IN_CLOUD } from "@/api/deployment";
import { Icon } from "@/components/Icon";
import { toast } from "@/components/toasts";

const NOTICE_MS = 3000;

interface Props {
  href: string;
  className?: string;
  /** Accessible label, if "Download" alone is ambiguous. */
  label?: string;
  /** Show an icon instead of the word. */
  icon?: boolean;
}

/**
 * A link that downloads a data file. In the cloud, large files are prepared first, which may take
 * minutes.
 */
export function FileLink({ href, className, label, icon = false }: Props) {
  return (
    <a
      className={className}
      href={href}
      download
      aria-label={label}
      title={icon ? label : undefined}
      onClick={IN_CLOUD ? saveWhenReady : undefined}
    >
      {icon ? <Icon name="download" /> : "Download"}
    </a>
  );
}

function saveWhenReady(event: MouseEvent<HTMLAnchorElement>): void {
  event.preventDefault();
  const { href } = event.currentTarget;
  const notice = setTimeout(
    () => toast("Preparing the file. The download starts when it is ready."),
    NOTICE_MS,
  );
  waitUntilReady(href)
    .then(
      () => location.assign(href),
      (error: unknown) => toast(messageOf(error), "error"),
    )
    .finally(() => clearTimeout(notice));
}
