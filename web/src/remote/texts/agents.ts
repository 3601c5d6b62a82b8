/** The texts about linked machines. */

export const START_COMMAND = "conducto agent start";
export const UNLINK_COMMAND = "conducto agent unlink";
export const LINK_COMMAND = "conducto agent link";

export const AGENTS = {
  title: "Agents",
  machine: "Machine",
  state: "State",
  allows: "Allows",
  online: "Online",
  offlineSince: (time: string) => `Offline, last seen ${time}`,
  forOrganisation: (user: string) => `for ${user} and the organisation`,
  forMember: (user: string) => `for ${user} only`,
  none: "No machines are linked",
  noneHelp: "Link a machine to see and control its pipelines here. On that machine, run:",
  forget: "Forget",
  forgetLabel: (machine: string) => `Forget ${machine}`,
  forgetTitle: (machine: string) => `Forget ${machine}?`,
  forgetEffect: "Its pipelines leave the lists; on the machine, they stay.",
  connectsAgain: "A linked agent connects again. To end the link, revoke its token, or run there:",
  forgotten: (machine: string) => `${machine} was forgotten`,
  offline: (machine: string, time: string) =>
    `${machine} is offline; this is its state as of ${time}.`,
  startIt: "Start it with:",
  copy: "Copy command",
  on: (machine: string) => `on ${machine}`,
  onOffline: (machine: string, time: string) => `on ${machine}, offline, as of ${time}`,
};
