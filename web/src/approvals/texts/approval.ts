/** The texts of approvals. */

export const APPROVAL = {
  title: "Waits for a decision",
  decidedTitle: "Approval",
  by: (who: string) => `Decided by: ${who}`,
  anybody: "Decided by: anybody who may control the pipeline",
  waitingTitle: "Waiting for your approval",
  waiting: (count: number) => `Waiting for your approval (${count.toLocaleString("en")})`,
  showAll: (count: number) => `Show all ${count.toLocaleString("en")}`,
  comment: "Comment (optional)",
  again: (why: string) => `Asked again: ${why}`,
  approve: "Approve",
  reject: "Reject",
  approved: (by: string, when: string) => `Approved by ${by}, ${when}`,
  rejected: (by: string, when: string) => `Rejected by ${by}, ${when}`,
};
