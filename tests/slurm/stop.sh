#!/bin/bash
# Stop what start.sh started, jobs included; what it did not start is left alone. The logs stay in the state folder.
set -u
CONF=/etc/slurm/slurm.conf
STATE=/var/lib/cpdgal-slurm
[ -d $STATE ] || exit 0

runs() { [ "$(ps -o comm= -p "$2")" = "$1" ]; } # the parents of daemons can stay behind as <defunct>

if [ -f $STATE/slurmctld.pid ]; then
    timeout 10 scancel --user=root 2>/dev/null
    for _ in $(seq 20); do
        [ -z "$(timeout 5 squeue --noheader 2>/dev/null)" ] && break
        sleep 1
    done
fi
failed=0
for each in slurmd slurmctld munged; do
    pid=$(cat $STATE/$each.pid 2>/dev/null) || continue
    runs $each "$pid" && kill "$pid"
    for _ in $(seq 20); do
        runs $each "$pid" || break
        sleep 0.5
    done
    if runs $each "$pid"; then
        echo "stop.sh: $each (process $pid) does not end" >&2
        failed=1
    else
        rm -f $STATE/$each.pid
    fi
done
# Without cgroups SLURM loses sight of a process whose parent has ended: a cancelled Snakemake can stay behind, hanging.
for each in /proc/[0-9]*; do
    grep -qsz '^SLURM_CLUSTER_NAME=cpdgal_tests$' "$each/environ" && kill -KILL "${each#/proc/}"
done
[ $failed = 0 ] && head -n 1 $CONF 2>/dev/null | grep -q "tests/slurm/start.sh" && rm $CONF
exit $failed
