#!/bin/sh
# Make what is secret in a deployment, one file each; a file that is there already stays as it is.
#   deploy/make_secrets.sh [folder]      (default: secrets)
# The folder is for its owner alone; the files in it are readable, for Docker mounts them as they
# are and each container has a user of its own.
set -eu
umask 077
folder="${1:-secrets}"
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

word() { # length in bytes
  od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}
keep() { # name, content
  [ -s "$1" ] && return
  printf '%s' "$2" >".$1.new"
  chmod 444 ".$1.new"
  mv ".$1.new" "$1"
  echo "made $folder/$1"
}

keep postgres_password "$(word 24)"
keep redis_password "$(word 24)"
keep redis.conf "requirepass $(cat redis_password)"
keep airflow_database "postgresql+psycopg://airflow:$(cat postgres_password)@postgres:5432/airflow"
keep airflow_broker "redis://:$(cat redis_password)@redis:6379/0"
keep airflow_results "redis://:$(cat redis_password)@redis:6379/1"
keep airflow_fernet_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n')"
keep airflow_api_secret "$(word 32)"
keep airflow_jwt_secret "$(word 64)"
keep airflow_admin_password "$(word 12)"
# Customer identifiers are hashed with this key; losing it breaks joins with earlier months.
keep customer_key "$(word 32)"
# {"name of a connection": "its URL"}; edit it, then start the worker and the triggerer again.
keep connections.json '{}'
chmod 644 connections.json
