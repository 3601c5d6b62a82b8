import type { ImageStep } from "@/api/schema";
import { StateMark } from "@/components/StateMark";
import { useNow } from "@/components/useNow";
import { duration, elapsed } from "@/lib/time";

interface Props {
  steps: readonly ImageStep[];
  underWay: boolean;
}

/** What the build of an image did one after the other, and how long each took. */
export function BuildSteps({ steps, underWay }: Props) {
  const now = useNow(underWay);
  if (steps.length === 0) return null;
  return (
    <ol className="images-steps" aria-label="Steps of the build" tabIndex={0}>
      {steps.map((step, index) => (
        <li
          key={index}
          className={step.within === null ? "images-step" : "images-step images-step-within"}
        >
          <StateMark mark={markOf(step, underWay)} label />
          <span className="images-step-name clip" title={step.error ?? step.name}>
            {step.name}
          </span>
          {step.cached ? <span className="muted">cached</span> : null}
          <span className="muted number images-step-time">{took(step, underWay, now)}</span>
        </li>
      ))}
    </ol>
  );
}

function markOf(step: ImageStep, underWay: boolean) {
  if (step.error !== null) return "error";
  if (step.ended !== null || step.cached) return "done";
  return underWay ? "running" : "killed"; // the agent that built it is gone
}

function took(step: ImageStep, underWay: boolean, now: number): string {
  if (step.cached || (step.ended === null && !underWay)) return "";
  const seconds = elapsed(step.started, step.ended, now);
  return seconds === null ? "" : duration(seconds);
}
