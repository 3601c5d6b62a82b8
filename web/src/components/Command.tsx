import { tokens } from "@/lib/highlight";

/** A command with syntax highlighting. */
export function Command({ text }: { text: string }) {
  return (
    <pre className="command" tabIndex={0} role="region" aria-label="Command">
      {tokens(text).map(({ kind, text: piece }, index) =>
        kind === "plain" ? (
          piece
        ) : (
          <span key={index} className={`code-${kind}`}>
            {piece}
          </span>
        ),
      )}
    </pre>
  );
}
