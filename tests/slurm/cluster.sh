#!/usr/bin/env bash
# A Slurm cluster on one machine, for the tests: six nodes with four CPUs each that exist on paper only,
# two GPUs that are device files, and accounting. Partitions: cpu (c1, c2), gpu (g1), spot (s1), whose jobs
# those of urgent preempt, and fragile (f1) and brittle (b1), whose nodes the tests crash: each its own.
# Everything listens on the loopback interface if the host's name stands for it, else on that address; "up" fails
# if a daemon listens on all interfaces. State lies under $SLURM_ROOT and is removed by "down".
#
#   tests/slurm/cluster.sh up | down | status
#   tests/slurm/cluster.sh crash NODE | revive NODE          a node that dies with all its processes
#   tests/slurm/cluster.sh outage begin | end                the controller is gone, and comes back
#
# Needs root (or a container) and Debian's or Ubuntu's packages:
#   apt-get install slurm-wlm munge slurmdbd mariadb-server
set -euo pipefail

SLURM_ROOT=${SLURM_ROOT:-/var/tmp/jrflow-slurm}
NODES=(c1 c2 g1 s1 f1 b1)
HOST=$(hostname -s)
PROGRAMS=(slurmctld slurmd slurmdbd sbatch munged mariadbd)

fail() { echo "cluster.sh: $*" >&2; exit 1; }

# Waits for a command to succeed: within SECONDS what? command...
within() {
  local seconds=$1 what=$2; shift 2
  for _ in $(seq $((seconds * 10))); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  fail "$what: not within $seconds s; logs are in $SLURM_ROOT/log"
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || fail "needs root: nodes of Slurm start jobs for other users (or use a container)"
  local program missing=()
  for program in "${PROGRAMS[@]}"; do command -v "$program" >/dev/null || missing+=("$program"); done
  [ ${#missing[@]} -eq 0 ] || fail "not installed: ${missing[*]}; apt-get install slurm-wlm munge slurmdbd mariadb-server"
  local file
  for file in slurm.conf gres.conf slurmdbd.conf; do
    # The commands of Slurm pass no SLURM_CONF on to jobs, so the usual place must be ours.
    if [ -e "/etc/slurm/$file" ] && [ "$(readlink -f "/etc/slurm/$file")" != "$(readlink -f "$SLURM_ROOT/etc/$file")" ]; then
      fail "/etc/slurm/$file is there: this machine belongs to a cluster already; nothing was changed"
    fi
  done
}

write_configuration() {
  mkdir -p "$SLURM_ROOT"/{etc,log,run,state,munge}
  chmod 755 "$SLURM_ROOT" "$SLURM_ROOT"/*
  local node port=17001
  {
    cat <<END
ClusterName=test
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# How soon a requeued job may start again: a credential must have expired by then.
AuthInfo=cred_expire=5
SlurmctldPidFile=$SLURM_ROOT/run/slurmctld.pid
SlurmdPidFile=$SLURM_ROOT/run/slurmd.%n.pid
SlurmdSpoolDir=$SLURM_ROOT/spool/%n
StateSaveLocation=$SLURM_ROOT/state
SlurmctldLogFile=$SLURM_ROOT/log/slurmctld.log
SlurmdLogFile=$SLURM_ROOT/log/slurmd.%n.log
# No cgroups, no binding to CPUs: these CPUs do not exist.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0,batch_sched_delay=0,defer_batch=0,requeue_delay=1
GresTypes=gpu
DefMemPerCPU=500
KillWait=5
MinJobAge=600
SlurmctldTimeout=10
SlurmdTimeout=15
MessageTimeout=10
JobRequeue=1
MaxArraySize=1001
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
# Daemons listen on the address of their host's name, which is the loopback interface, not on all.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStorageTRES=gres/gpu
# Only who has an account may submit, as on most clusters.
AccountingStorageEnforce=associations
END
    for node in "${NODES[@]}"; do
      mkdir -p "$SLURM_ROOT/spool/$node"
      echo "NodeName=$node NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((port++)) CPUs=4 RealMemory=16000" \
        "$([ "$node" = g1 ] && echo Gres=gpu:2) State=UNKNOWN"
    done
    cat <<END
PartitionName=cpu Nodes=c1,c2 Default=YES MaxTime=1:00:00 DefaultTime=0:10:00 State=UP PriorityTier=1
PartitionName=gpu Nodes=g1 MaxTime=1:00:00 DefaultTime=0:10:00 State=UP PriorityTier=1
PartitionName=spot Nodes=s1 MaxTime=1:00:00 DefaultTime=0:10:00 State=UP PriorityTier=1 GraceTime=10
PartitionName=fragile Nodes=f1 MaxTime=1:00:00 DefaultTime=0:10:00 State=UP PriorityTier=1
PartitionName=brittle Nodes=b1 MaxTime=1:00:00 DefaultTime=0:10:00 State=UP PriorityTier=1
PartitionName=urgent Nodes=s1 MaxTime=1:00:00 DefaultTime=0:10:00 State=UP PriorityTier=10 PreemptMode=OFF
END
  } > "$SLURM_ROOT/etc/slurm.conf"
  echo "NodeName=g1 Name=gpu File=/dev/null,/dev/zero" > "$SLURM_ROOT/etc/gres.conf"
  (umask 077; cat > "$SLURM_ROOT/etc/slurmdbd.conf") <<END
AuthType=auth/munge
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=16819
CommunicationParameters=NoInAddrAny
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=13306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile=$SLURM_ROOT/log/slurmdbd.log
PidFile=$SLURM_ROOT/run/slurmdbd.pid
END
  mkdir -p /etc/slurm
  local file
  for file in slurm.conf gres.conf slurmdbd.conf; do ln -sfn "$SLURM_ROOT/etc/$file" "/etc/slurm/$file"; done
  # PyTorch and submitit find the first rank by its node's name.
  for node in "$HOST" "${NODES[@]}"; do
    getent hosts "$node" >/dev/null || echo "127.0.0.1 $node # jrflow-slurm" >> /etc/hosts
  done
}

start_munge() {
  munge -n >/dev/null 2>&1 && return
  install -d -o munge -g munge -m 755 /run/munge
  chown munge: "$SLURM_ROOT/munge"; chmod 700 "$SLURM_ROOT/munge"
  if [ ! -f /etc/munge/munge.key ]; then
    (umask 077; head -c 1024 /dev/urandom > /etc/munge/munge.key); chown munge: /etc/munge/munge.key
  fi
  setpriv --reuid=munge --regid=munge --clear-groups munged --log-file="$SLURM_ROOT/munge/munged.log" \
    --pid-file=/run/munge/munged.pid --seed-file="$SLURM_ROOT/munge/seed"
  touch "$SLURM_ROOT/run/munge-is-ours"
  within 10 "munge" munge -n
}

sql() { mariadb --no-defaults -S "$SLURM_ROOT/run/mysql.sock" -u root "$@"; }

start_accounting() {
  if [ ! -d "$SLURM_ROOT/mysql/mysql" ]; then
    install -d -o mysql -g mysql "$SLURM_ROOT/mysql"
    mariadb-install-db --no-defaults --user=mysql --datadir="$SLURM_ROOT/mysql" \
      --auth-root-authentication-method=normal --skip-test-db > "$SLURM_ROOT/log/mysql-install.log" 2>&1
  fi
  install -d -o mysql -g mysql "$SLURM_ROOT/run/db"
  setsid mariadbd --no-defaults --user=mysql --datadir="$SLURM_ROOT/mysql" --socket="$SLURM_ROOT/run/db/mysql.sock" \
    --pid-file="$SLURM_ROOT/run/db/mysql.pid" --bind-address=127.0.0.1 --port=13306 \
    --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 > "$SLURM_ROOT/log/mysql.log" 2>&1 < /dev/null &
  ln -sfn "$SLURM_ROOT/run/db/mysql.sock" "$SLURM_ROOT/run/mysql.sock"
  within 60 "the accounting database" sql -e "select 1"
  local at
  for at in localhost 127.0.0.1; do
    sql -e "create database if not exists slurm_acct_db;
            create user if not exists 'slurm'@'$at' identified by 'slurm';
            grant all on slurm_acct_db.* to 'slurm'@'$at';"
  done
  slurmdbd
  within 60 "slurmdbd" sacctmgr -n list cluster
  # Exit code 1: it is there already.
  sacctmgr -i add cluster test >/dev/null 2>&1 || true
  sacctmgr -i add account lab >/dev/null 2>&1 || true
  sacctmgr -i add user root account=lab >/dev/null 2>&1 || true
  sacctmgr -i modify user root set defaultaccount=lab >/dev/null 2>&1 || true
}

all_idle() { [ "$(sinfo -h -N -o '%N %t' | sort -u | grep -c ' idle$')" -eq ${#NODES[@]} ]; }

start_controller() {
  slurmctld -i
  within 60 "the controller" scontrol ping
}

up() {
  check_machine
  if [ -S "$SLURM_ROOT/run/mysql.sock" ] && all_idle 2>/dev/null; then status; return; fi
  down >/dev/null 2>&1
  write_configuration
  start_munge
  start_accounting
  start_controller
  local node
  for node in "${NODES[@]}"; do slurmd -N "$node"; done
  within 60 "idle nodes" all_idle
  listen_on_one_address
  status
}

listen_on_one_address() {  # no daemon of the cluster may be reached through all interfaces (0.0.0.0)
  local port=0 open=''
  for port in 16817 16819 13306 $(seq 17001 $((17000 + ${#NODES[@]}))); do
    if grep -qE "^ *[0-9]+: 0{8}(0{24})?:$(printf %04X "$port") .* 0A " /proc/net/tcp /proc/net/tcp6; then open+=" $port"; fi
  done
  [ -z "$open" ] || fail "ports that are open on all interfaces:$open"
}

stop() {  # stop PIDFILE: end the process and wait for it
  [ -f "$1" ] || return 0
  local pid; pid=$(cat "$1")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}

down() {
  [ -d "$SLURM_ROOT" ] || return 0
  scancel --full -u root >/dev/null 2>&1 || true
  local node
  for node in "${NODES[@]}"; do crash "$node"; done
  stop "$SLURM_ROOT/run/slurmctld.pid"
  stop "$SLURM_ROOT/run/slurmdbd.pid"
  stop "$SLURM_ROOT/run/db/mysql.pid"
  [ -f "$SLURM_ROOT/run/munge-is-ours" ] && stop /run/munge/munged.pid
  local file
  for file in slurm.conf gres.conf slurmdbd.conf; do
    [ "$(readlink "/etc/slurm/$file")" = "$SLURM_ROOT/etc/$file" ] && rm -f "/etc/slurm/$file"
  done
  # In a container /etc/hosts can be written, but not replaced.
  grep -v '# jrflow-slurm$' /etc/hosts > "$SLURM_ROOT/hosts" && cat "$SLURM_ROOT/hosts" > /etc/hosts
  rm -rf "$SLURM_ROOT"
  echo "stopped"
}

status() { sinfo -o "%P %D %t %N %G"; }

processes_of() {  # all that runs on a node on paper: its daemons, who hold its log, and what descends from them
  local found
  found=$({ find /proc/[0-9]*/fd/3 -maxdepth 0 -lname "$SLURM_ROOT/log/slurmd.$1.log"
    grep -slxz "SLURMD_NODENAME=$1" /proc/[0-9]*/environ; } 2>/dev/null | cut -d/ -f3 | tr '\n' ' ') || true
  # Snakemake's jobs have not got the name of the node, nor has what they start.
  ps -e -o pid= -o ppid= | awk -v found="$found" '
    BEGIN { n = split(found, pids); for (i = 1; i <= n; i++) of_node[pids[i]] = 1 }
    { parent[$1] = $2 }
    END { for (pid in parent) { for (p = pid; p > 1; p = parent[p]) if (p in of_node) { print pid; break } } }' | sort -n
}

crash() {
  local before='' now
  # All are halted before one is killed, as if at once: slurmstepd would tell the controller that its task
  # failed, and the process that watches over srun would have the step killed, also when it is back in the
  # queue and runs again (the controller tries again after a minute).
  now=$(processes_of "$1")
  while [ "$now" != "$before" ]; do
    # shellcheck disable=SC2086  # these are numbers
    kill -STOP $now 2>/dev/null || true
    before=$now; now=$(processes_of "$1")
  done
  # shellcheck disable=SC2086
  [ -z "$now" ] || kill -9 $now 2>/dev/null || true
}

is_back() { [[ "$(sinfo -h -n "$1" -o %t | sort -u)" =~ ^(idle|mix|alloc|comp)$ ]]; }

revive() {
  slurmd -N "$1"
  within 120 "node $1" is_back "$1"
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  status) status ;;
  crash) crash "${2:?which node?}" ;;
  revive) revive "${2:?which node?}" ;;
  outage)
    case "${2:-}" in
      begin) kill -9 "$(cat "$SLURM_ROOT/run/slurmctld.pid")" ;;
      end) start_controller ;;
      *) fail "outage begin | end" ;;
    esac ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
