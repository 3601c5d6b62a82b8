import { useEffect, useState } from "react";

import { EmptyState } from "@/components/EmptyState";
import { baseName, imageType } from "@/data/model/dataFiles";
import styles from "@/data/Picture.module.css";

/** An image from a data file. */
export function Picture({ name, content }: { name: string; content: ArrayBuffer }) {
  const [address, setAddress] = useState<string | null>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([content], { type: imageType(name) ?? "" }));
    setAddress(made);
    setBroken(false);
    return () => URL.revokeObjectURL(made);
  }, [name, content]);
  if (broken) return <EmptyState title="The browser cannot show this image" />;
  return address === null ? null : (
    <div className={styles.picture}>
      <img src={address} alt={baseName(name)} onError={() => setBroken(true)} />
    </div>
  );
}
