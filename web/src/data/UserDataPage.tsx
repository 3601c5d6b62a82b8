import { useTitle } from "@/components/useTitle";
import { DataBrowser } from "@/data/DataBrowser";

/** The user's own data, shared by all their pipelines. */
export function UserDataPage() {
  useTitle("Data");
  return (
    <>
      <h1 className="sr-only">Your data</h1>
      <DataBrowser id={null} />
    </>
  );
}
