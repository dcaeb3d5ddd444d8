#!/bin/bash
# A prediction on a real SLURM: one node with two slots on this computer, set up as root and taken down again.
#
#   apt-get install slurm-wlm munge        (Debian, Ubuntu)
#   benchmarks/cluster/slurm.sh ANLAGE_PYTHON [FOLDER]
#
# Shown: two jobs share 24 frames; a job that its time limit ends is gone on with by the same command; `anlage stop` cancels;
# the table is the same, byte for byte, as that of one process.
set -euo pipefail
PYTHON=$1
FOLDER=${2:-$(mktemp -d)}
HOST=$(hostname -s)
export PATH="$(dirname "$PYTHON"):$PATH" OMP_NUM_THREADS=1
mkdir -p "$FOLDER" && cd "$FOLDER"
mkdir -p etc state spool log

cat > etc/slurm.conf <<CONF
ClusterName=here
SlurmctldHost=$HOST(127.0.0.1)
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$PWD/state
SlurmdSpoolDir=$PWD/spool
SlurmctldPidFile=$PWD/slurmctld.pid
SlurmdPidFile=$PWD/slurmd.pid
SlurmctldLogFile=$PWD/log/slurmctld
SlurmdLogFile=$PWD/log/slurmd
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=10
OverTimeLimit=0
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$PWD/etc/slurm.conf

pgrep -x munged > /dev/null || { mkdir -p /run/munge && chown munge /run/munge && su -s /bin/sh munge -c /usr/sbin/munged; }
slurmctld
slurmd
down() { kill "$(cat slurmd.pid)" "$(cat slurmctld.pid)" 2> /dev/null || true; }
trap down EXIT
until sinfo -h -o %T 2> /dev/null | grep -q idle; do sleep 0.5; done

say() { echo; echo "\$ $*"; "$@"; }
finished() { until [ -z "$(squeue -h)" ]; do sleep 1; done; }

say sinfo
"$PYTHON" - <<MOVIE
from anlage.io import write_image
from anlage.synthetic import embryo
import numpy as np
movie = embryo(5, 4, (24, 160, 160), n_nuclei=60)
write_image("movie.ome.zarr", np.concatenate([movie.image.read()] * 6), spacing=movie.spacing, interval_s=300)
MOVIE
PREDICT="anlage predict starter movie.ome.zarr --device cpu"
say $PREDICT -o alone.csv | tail -1

echo; echo "# an array of two jobs"
say $PREDICT -o found.csv --on slurm --workers 2 --cpus 1 --hours 0.1
sleep 2; say squeue -o "%.10i %.9P %.8j %.2t %.6M %R"
say anlage watch found.csv
finished
for log in found.csv.jobs/*_0_log.out; do echo "$(basename "$log"): $(grep -c '"kind":"frame"' "$log") frames"; done
say cmp alone.csv found.csv && echo "the same table"

echo; echo "# a job that its time limit ends (2 min; here a frame takes 10 s longer), and the same command again"
mkdir -p slow
cat > slow/sitecustomize.py <<SLOW
import time
from anlage.inference.network import NetworkFinder
real = NetworkFinder.predict
NetworkFinder.predict = lambda self, *frame: time.sleep(10) or real(self, *frame)
SLOW
PYTHONPATH=$PWD/slow:${PYTHONPATH:-} $PREDICT -o late.csv --on slurm --workers 1 --cpus 1 --hours 0.034 | tail -1
finished
echo "$(ls late.csv.parts | grep -c frame-) of 24 frames are kept; the end of the job's log:"
tail -n 2 late.csv.jobs/*_0_log.err
say $PREDICT -o late.csv --on slurm --workers 2 --cpus 1 --hours 0.1 | tail -1
finished
say cmp alone.csv late.csv && echo "the same table"

echo; echo "# anlage stop cancels what runs and what waits"
export PYTHONPATH=$PWD/slow:${PYTHONPATH:-}
say $PREDICT -o stopped.csv --on slurm --workers 4 --cpus 1 --hours 0.1 | tail -1
until compgen -G "stopped.csv.parts/frame-*" > /dev/null; do sleep 0.5; done
say anlage stop stopped.csv
finished
say squeue

echo; echo "# a training as a job of two processes"
export PYTHONPATH=${PYTHONPATH#*:}
anlage convert alone.csv nuclei.csv --overwrite > /dev/null 2>&1 || cp alone.csv nuclei.csv
anlage build movie.ome.zarr nuclei.csv -o nuclei.zarr --cuboid 0:4,0:24,0:160,0:160 > /dev/null
say anlage train nuclei nuclei.zarr -o run --device cpu --set steps=3 processes=2 width=8 --from none --on slurm --cpus 2 --hours 0.1
finished
say anlage info run | head -3
