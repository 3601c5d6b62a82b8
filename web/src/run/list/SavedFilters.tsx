import { useState } from "react";

import { Button } from "@/components/Button";
import { ConfirmDialog } from "@/components/ConfirmDialog";
import { navigate, useLocation } from "@/lib/location";
import { removeFilter, type SavedFilter, saveFilter, useSavedFilters } from "@/lib/savedFilters";

/** A list of the saved filters, and a button that saves the current one. */
export function SavedFilters() {
  const { query } = useLocation();
  const filters = useSavedFilters();
  const [naming, setNaming] = useState(false);
  const text = query.toString();
  const known = filters.find((one) => one.query === text);
  return (
    <>
      {filters.length === 0 ? null : (
        <select
          className="field"
          aria-label="Saved filters"
          value={known?.name ?? ""}
          onChange={(event) => open(filters, event.target.value)}
        >
          <option value="">Saved filters</option>
          {filters.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      )}
      {text === "" ? null : known === undefined ? (
        <Button variant="quiet" onClick={() => setNaming(true)}>
          Save this filter
        </Button>
      ) : (
        <Button variant="quiet" onClick={() => removeFilter(known.name)}>
          {`Remove the filter ${known.name}`}
        </Button>
      )}
      {naming ? <NameDialog query={text} onClose={() => setNaming(false)} /> : null}
    </>
  );
}

function open(filters: readonly SavedFilter[], name: string): void {
  const found = filters.find((one) => one.name === name);
  navigate(found === undefined ? "/" : `/?${found.query}`);
}

function NameDialog({ query, onClose }: { query: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const trimmed = name.trim();
  return (
    <ConfirmDialog
      title="Save this filter"
      action="Save"
      disabled={trimmed === ""}
      onConfirm={() => {
        saveFilter({ name: trimmed, query });
        onClose();
      }}
      onClose={onClose}
    >
      <label className="form">
        Name
        <input
          className="field"
          maxLength={60}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
    </ConfirmDialog>
  );
}
