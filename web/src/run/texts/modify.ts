/** The texts of the dialog that modifies nodes. */

export const MODIFY = {
  addVariable: "Add variable",
  cancel: "Cancel",
  changes: "Changes",
  check: "Check",
  command: "Command",
  effect:
    "Changes apply to this pipeline from the next start of a command. Your script stays unchanged.",
  environment: "Environment",
  fields: {
    cpu: { label: "CPU", hint: "cores" },
    mem: { label: "Memory", hint: "GB" },
    gpu: { label: "GPU", hint: "0 to 4" },
    max_time: { label: "Time limit", hint: "e.g. 90s, 1h30m" },
    max_concurrent: { label: "Maximum running", hint: "no limit" },
    retry_lost: { label: "Retries if worker is lost", hint: "0" },
  },
  image: "Image",
  inherited: "inherited or default",
  modify: "Modify",
  modifyAndRerun: "Modify and rerun",
  remove: (name: string) => `Remove ${name}`,
  valid: (count: string) => `Valid. Applies to ${count}.`,
  variableName: (value: number) => `Name of variable ${value}`,
  variableValue: (name: string, place: number) =>
    `Value of ${name === "" ? `variable ${place}` : name}`,
};
