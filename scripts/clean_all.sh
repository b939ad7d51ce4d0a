#!/bin/sh
# Removes everything that git does not keep: asks first, and without a terminal removes
# nothing unless CONFIRM=yes.
cd "$(dirname "$0")/.." || exit 1

echo "clean-all removes, for good:"
echo "  .venv, .tools                     the environment (make setup builds it again)"
echo "  models, reports, logs             every trained model, report and log"
echo "  mlruns, mlruns.db, mlflow.db      every run that MLflow has on record"
echo "  bars                              Yahoo's bars, kept on this disk"
echo "  scratch                           what killed runs of scale.mode external left"
echo "  ledger                            the record of how often each holdout was opened"
echo "  predictions                       every prediction that was logged"

answer=${CONFIRM:-}
if [ -z "$answer" ] && [ -t 0 ]; then
    printf 'Type yes to go on: '
    read -r answer
fi
if [ "$answer" != yes ]; then
    echo "Nothing was removed. Without a terminal: make clean-all CONFIRM=yes"
    exit 1
fi
for folder in models reports logs ledger bars predictions; do
    [ ! -d "$folder" ] || find "$folder" -mindepth 1 ! -name .gitkeep -delete
done
rm -rf .venv .tools mlruns mlruns.db* mlflow.db* scratch
echo "Removed."
