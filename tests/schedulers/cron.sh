#!/usr/bin/env bash
# Lets cron run one crontab, and nothing else that the machine has, until a file appears. In a mount namespace.
set -euo pipefail
cron="$1" awaited="$2"

mount --make-rprivate /
mkdir -p /var/spool/cron /etc/cron.d
mount -t tmpfs tmpfs /var/spool/cron
mount -t tmpfs tmpfs /etc/cron.d
mount -t tmpfs tmpfs /run
if [ -e /etc/crontab ]; then mount --bind /dev/null /etc/crontab; fi
install -d -m 1730 /var/spool/cron/crontabs
install -m 600 "$cron/crontab" /var/spool/cron/crontabs/root
"$cron/usr/sbin/cron" -f &
daemon=$!
trap 'kill $daemon' EXIT
for _ in $(seq 90); do
    if [ -e "$awaited" ]; then
        echo 'ok: cron has run the job'
        exit 0
    fi
    sleep 1
done
echo "nothing came of it in 90 seconds" >&2
exit 1
