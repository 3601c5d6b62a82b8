import { CopyButton } from "@/components/CopyButton";

/** Something to be copied into a terminal or a file, with a button that does so. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div className="code">
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} label={`Copy ${label}`} />
    </div>
  );
}
