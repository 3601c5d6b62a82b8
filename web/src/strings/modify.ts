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
  image: "Image",
  inherited: "inherited or default",
  modify: "Modify",
  modifyAndRerun: "Modify and rerun",
  remove: (name: string) => `Remove ${name}`,
  valid: (count: string) => `Valid. Applies to ${count}.`,
  variableName: (value: number) => `Name of variable ${value}`,
  variableValue: (value: string) => `Value of ${value}`,
};
