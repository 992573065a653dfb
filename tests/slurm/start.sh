#!/bin/bash
# Start a SLURM of one node on this machine, for tests: sudo tests/slurm/start.sh, and tests/slurm/stop.sh at the end.
# Needs Debian's slurm-wlm and munge. The configuration has to lie in /etc/slurm: jobs do not inherit any other place.
set -u
CONF=/etc/slurm/slurm.conf
MARK="# Written by tests/slurm/start.sh of cpdgal; stop.sh removes it."
STATE=/var/lib/cpdgal-slurm
HERE=$(dirname "$(readlink -f "$0")")

fail() {
    echo "start.sh: $1" >&2
    exit 1
}
fail_started() {
    "$HERE/stop.sh"
    fail "$1"
}

[ "$(id -u)" = 0 ] || fail "SLURM's daemons need root; run it as root"
for each in munged slurmctld slurmd sinfo; do
    command -v $each >/dev/null || fail "$each is not installed; apt-get install slurm-wlm munge"
done
[ -e $CONF ] && [ "$(head -n 1 $CONF)" != "$MARK" ] && fail "$CONF is there and was not written by this script; it is left as it is"
"$HERE/stop.sh" || fail "what an earlier start.sh left could not be stopped"
for each in slurmctld slurmd; do
    pgrep -x -r R,S,D $each >/dev/null && fail "a $each that this script did not start is running; it is left as it is"
done

HOST=$(hostname -s)
MEMORY=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
rm -rf $STATE
mkdir -p /etc/slurm $STATE/state $STATE/spool
cat >$CONF <<END
$MARK
ClusterName=cpdgal_tests
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$STATE/state
SlurmdSpoolDir=$STATE/spool
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) RealMemory=$MEMORY State=UNKNOWN
PartitionName=main Nodes=$HOST Default=YES MaxTime=INFINITE State=UP
END

# A munged that runs already is used, and stop.sh leaves it running.
if ! munge --no-input >/dev/null 2>&1; then
    install -d -o munge -g munge -m 755 /run/munge
    runuser -u munge -- munged --pid-file=/run/munge/munged.pid || fail_started "munged did not start; see /var/log/munge/munged.log"
    cp /run/munge/munged.pid $STATE/
fi
slurmctld || fail_started "slurmctld did not start; see $STATE/slurmctld.log"
slurmd || fail_started "slurmd did not start; see $STATE/slurmd.log"
for _ in $(seq 60); do
    [ "$(timeout 5 sinfo --noheader --format=%T 2>/dev/null)" = idle ] && exit 0
    sleep 1
done
fail_started "no idle node after a minute; see $STATE/slurmctld.log and $STATE/slurmd.log"
