import { lazily } from "@/components/lazily";

/** The sign-in page, which most visits do not see. */
export const SignedOut = lazily(
  async () => (await import("@/components/SignInForms")).SignInForms,
  { placeholder: null },
);
