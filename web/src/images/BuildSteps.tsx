import type { ImageStep } from "@/api/schema";
import { StateIcon } from "@/components/StateIcon";
import { useNow } from "@/components/useNow";
import { duration, elapsed } from "@/lib/time";
import styles from "@/images/BuildSteps.module.css";

interface Props {
  steps: readonly ImageStep[];
  building: boolean;
}

/** The steps of an image build and their durations. */
export function BuildSteps({ steps, building }: Props) {
  const now = useNow(building);
  if (steps.length === 0) return null;
  return (
    <ol className={styles.steps} aria-label="Build steps" tabIndex={0}>
      {steps.map((step, index) => (
        <li key={index} className={`${styles.step} ${step.within === null ? "" : styles.within}`}>
          <StateIcon state={markOf(step, building)} label />
          <span className={`${styles.name} clip`} title={step.error ?? step.name}>
            {step.name}
          </span>
          <span className={`muted number ${styles.time}`}>
            {step.cached ? "cached" : took(step, building, now)}
          </span>
        </li>
      ))}
    </ol>
  );
}

function markOf(step: ImageStep, building: boolean) {
  if (step.error !== null) return "error";
  if (step.ended !== null || step.cached) return "done";
  return building ? "running" : "killed"; // the agent stopped during the build
}

function took(step: ImageStep, underWay: boolean, now: number): string {
  if (step.cached || (step.ended === null && !underWay)) return "";
  const seconds = elapsed(step.started, step.ended, now);
  return seconds === null ? "" : duration(seconds);
}
