import { describe, expect, it } from "vitest";

import { restingText, workersText } from "@/run/model/workers";

const NONE = { busy: 0, idle: 0, starting: 0, cpu_used: null, cpu: null };

describe("the summary of workers", () => {
  it("omits states without workers", () => {
    expect(workersText({ engine: "docker" }, { ...NONE, busy: 1 })).toBe("1 worker busy");
    expect(workersText({ engine: "docker" }, { ...NONE, busy: 3, idle: 1, starting: 2 })).toBe(
      "3 workers busy, 1 idle, 2 starting",
    );
  });

  it("names workers that stay after a run", () => {
    expect(restingText(NONE)).toBeNull();
    expect(restingText({ ...NONE, idle: 1 })).toBe("1 worker waits for a rerun");
    expect(restingText({ ...NONE, idle: 2 })).toBe("2 workers wait for a rerun");
  });

  it("includes CPU use", () => {
    const workers = { ...NONE, busy: 2, cpu_used: 1.25, cpu: 2 };
    expect(workersText({ engine: "process" }, workers)).toBe(
      "2 process slots busy; 1.3 of 2 CPUs in use",
    );
  });
});
