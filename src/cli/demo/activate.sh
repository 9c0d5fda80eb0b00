#!/bin/sh
# What puts a version into service on a node of the demo: the page that was uploaded, served on the node's port.
set -eu
cd "$PLACE/$TIDEGATE_NODE"
ln -sfn "$TIDEGATE_VERSION" current
if [ -f pid ]; then kill "$(cat pid)" 2>/dev/null || true; fi
"$PLACE/tidegate" demo-node "$PORT" current >served.log 2>&1 &
echo $! >pid
echo "$TIDEGATE_NODE serves $TIDEGATE_VERSION on port $PORT ($TIDEGATE_MODE)"
