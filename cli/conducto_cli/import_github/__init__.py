"""Translation of GitHub Actions workflows to pipeline scripts."""
