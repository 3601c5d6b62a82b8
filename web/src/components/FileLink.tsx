import type { MouseEvent } from "react";

import { messageOf } from "@/api/client";
import { untilReady } from "@/api/data";
import { IN_CLOUD } from "@/api/side";
import { toast } from "@/components/toasts";

const PATIENCE_MS = 3000;

interface Props {
  href: string;
  className?: string;
  /** For who does not see in which row it stands. */
  label?: string;
}

/** Saves a data file. A large one of the cloud is prepared first, which may take minutes. */
export function FileLink({ href, className, label }: Props) {
  return (
    <a
      className={className}
      href={href}
      download
      aria-label={label}
      onClick={IN_CLOUD ? saveWhenReady : undefined}
    >
      Download
    </a>
  );
}

function saveWhenReady(event: MouseEvent<HTMLAnchorElement>): void {
  event.preventDefault();
  const { href } = event.currentTarget;
  const told = setTimeout(
    () => toast("It is being prepared; it is saved when it is ready."),
    PATIENCE_MS,
  );
  untilReady(href)
    .then(
      () => location.assign(href),
      (error: unknown) => toast(messageOf(error), "error"),
    )
    .finally(() => clearTimeout(told));
}
