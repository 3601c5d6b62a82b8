import type { NodeType } from "@/api/schema";

const PATHS: Record<NodeType, string> = {
  Serial: "M4 2.5v9m0 0L1.8 9.3M4 11.5l2.2-2.2M8 3.5h4M8 7h4M8 10.5h4",
  Parallel: "M2.5 2.5v9M7 2.5v9M11.5 2.5v9",
  Exec: "M2.5 3.5L6 7l-3.5 3.5M7.5 11h4",
};

/** The icon of a node type. */
export function TypeIcon({ type, name }: { type: NodeType; name?: string }) {
  const label = name === "Execute" || name === "Generate" ? `${type}, part of a Lazy` : type;
  return (
    <svg
      className="type-icon"
      viewBox="0 0 14 14"
      width="13"
      height="13"
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <path d={PATHS[type]} fill="none" stroke="currentColor" strokeWidth="1.3" />
    </svg>
  );
}
