#!/usr/bin/env bash
# Bring up a one-node Slurm (Debian: slurm-wlm, munge) on this machine, run the smoke profile through it, take it down.
# Usage, as root: scripts/local_slurm.sh [make arguments, default: reports PROFILE=smoke SLURM=1 JOBS=2]
# Everything lives in one temporary folder and listens on this machine only; munge uses a socket and key of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in munged slurmctld slurmd sbatch; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install slurm-wlm munge" >&2; exit 1; }
done
home=$(mktemp -d /tmp/local-slurm.XXXXXX)
chmod 755 "$home"
node=$(hostname -s)
read -r cores memory <<<"$(slurmd -C | sed -nE 's/.*CPUs=([0-9]+).*RealMemory=([0-9]+).*/\1 \2/p')"
mkdir "$home"/{ctl,d,munge}
system=/etc/slurm/slurm.conf # jobs look here: the variable SLURM_CONF does not reach them
if [ -e "$system" ]; then echo "$system is there already: this machine has a Slurm of its own" >&2; exit 1; fi
mkdir -p /etc/slurm
ln -s "$home/slurm.conf" "$system"
cat >"$home/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$home/munge/socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$home/ctl
SlurmdSpoolDir=$home/d
SlurmctldPidFile=$home/ctl/pid
SlurmdPidFile=$home/d/pid
SlurmctldLogFile=$home/ctl/log
SlurmdLogFile=$home/d/log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=300
ReturnToService=2
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=local Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
stop() {
    code=$?
    for file in "$home"/d/pid "$home"/ctl/pid "$home"/munge/pid; do
        if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
    done
    if [ "$code" -ne 0 ]; then tail -n 20 "$home"/ctl/log "$home"/d/log >&2 || true; fi
    sleep 1
    rm -rf "$home" "$system"
    exit "$code"
}
trap stop EXIT
(umask 077 && dd if=/dev/urandom of="$home/munge/key" bs=1 count=1024 status=none)
munged --force --socket="$home/munge/socket" --key-file="$home/munge/key" --pid-file="$home/munge/pid" \
    --log-file="$home/munge/log" --seed-file="$home/munge/seed"
slurmctld
slurmd
for _ in $(seq 30); do
    if sinfo -h -o %t 2>/dev/null | grep -q idle; then break; fi
    sleep 1
done
sinfo
(while sleep 20; do squeue -h -o '%.6i %.10T %.8M %.4C %.7m %k %j' 2>/dev/null || true; done) &
watcher=$!
if [ $# -eq 0 ]; then set -- reports PROFILE=smoke SLURM=1 JOBS=2; fi
make "$@"
kill "$watcher"
