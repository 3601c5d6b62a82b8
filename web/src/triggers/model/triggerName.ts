/** The name that a trigger gets from the address of its repository. */

/** The last part of the address; with the owner if another trigger has that name. */
export function suggestedName(repository: string, known: readonly string[]): string {
  const parts = repository.trim().replace(/\/+$/, "").split("/");
  if (parts.length < 4) return "";
  const name = (parts.at(-1) ?? "").replace(/\.git$/, "");
  const owner = parts.length > 4 ? (parts.at(-2) ?? "") : "";
  return known.includes(name) && owner !== "" ? `${owner}-${name}` : name;
}
