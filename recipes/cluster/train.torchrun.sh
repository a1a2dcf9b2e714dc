#!/usr/bin/env bash
# Trains any recipe with torchrun, on one machine or several, and goes on by itself when a process dies.
#
#     recipes/cluster/train.torchrun.sh quickstart
#     NODES=2 RENDEZVOUS=10.0.0.1:29500 recipes/cluster/train.torchrun.sh RECIPE --config strategy/fsdp2
#
# Start the second command on each of two machines that share a folder, with the address of one of them. One process
# is started for each GPU, or PROCESSES of them. When one dies, all are started again, up to RESTARTS times (3), and
# go on with the newest checkpoint; so does the command when it is given again. Files are kept in runs/.
# The command ends with the status of the run: 2, a mistake, 3, diverged, and 75, told to stop and saved, start nothing again.
# If machines have several networks, say which one to use: `export NCCL_SOCKET_IFNAME=ib0` (or GLOO_SOCKET_IFNAME
# without GPUs).
set -euo pipefail

if [[ $# -lt 1 ]]; then
    echo "train.torchrun.sh: error: name a recipe: train.torchrun.sh RECIPE [OPTION ...]" >&2
    exit 2
fi
recipe=$1
shift

nodes=${NODES:-1}
gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l) || true
processes=${PROCESSES:-$((gpus > 0 ? gpus : 1))}
launch=(--nnodes "$nodes" --nproc-per-node "$processes" --max-restarts "${RESTARTS:-3}")
if [[ $nodes == 1 ]]; then
    launch+=(--standalone)
elif [[ ${RENDEZVOUS:-} != *:* ]]; then
    echo "train.torchrun.sh: error: RENDEZVOUS=${RENDEZVOUS:-} is not where $nodes machines meet; use HOST:PORT." >&2
    exit 2
else
    # The machine whose own address this is hosts the meeting; names of machines often do not say so.
    mine=$(python -c "
import socket, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect((sys.argv[1], 1))
print(probe.getsockname()[0], int(probe.getsockname()[0] == probe.getpeername()[0]))" "${RENDEZVOUS%:*}")
    launch+=(--rdzv-backend c10d --rdzv-id "${RUN_ID:-overtone}" --rdzv-endpoint "$RENDEZVOUS")
    launch+=(--rdzv-conf "is_host=${mine#* }" --local-addr "${mine% *}")
fi

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} NCCL_DEBUG=${NCCL_DEBUG:-WARN} PYTHONUNBUFFERED=1

# torchrun starts again whatever fails, and forgets with which status; so these three end without a failure.
ending=$(mktemp)
export OVERTONE_ENDING=$ending
# shellcheck disable=SC2016
process='trap : TERM INT USR1
: >"$OVERTONE_ENDING" # of processes that were started before
status=0
overtone "$@" || status=$?
case $status in 2 | 3 | 75) echo "$status" >"$OVERTONE_ENDING" && exit 0 ;; esac
exit "$status"'

# A store of its own for every attempt: the one that attempts share tells them apart by a number of restarts, which differs
# between a machine that lost a process and one that only starts again with it.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

trap 'told=yes; kill -TERM $! || true' TERM INT USR1
torchrun "${launch[@]}" --no-python bash -c "$process" overtone fit \
    --config "$recipe" \
    --trainer.num_nodes "$nodes" \
    --trainer.devices "$processes" \
    --resume auto \
    "$@" &
told=yes
while [[ -n $told ]]; do # a signal ends waiting, not the run
    told='' status=0
    wait $! || status=$?
done
if [[ -s $ending ]]; then
    status=$(<"$ending")
fi
rm -f "$ending"
exit "$status"
