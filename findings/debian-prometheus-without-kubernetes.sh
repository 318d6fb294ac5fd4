#!/usr/bin/env bash
# Prometheus 2.42.0 as Debian 12 packages it (2.42.0+ds-5+deb12u1).
#
# Expected: a configuration with kubernetes_sd_configs, as the documentation of Prometheus 2.42 shows it, is valid.
# Seen: promtool and the server refuse the whole file: "field kubernetes_sd_configs not found in type config.ScrapeConfig". The
# package is built without the discovery of Kubernetes, Consul, Nomad, Kuma and Linode. Those of Docker, of most clouds, and by
# DNS, HTTP and files are there. `--version` shows the upstream number, and nothing else tells.
# So a configuration for a cluster cannot be checked in CI by this package.
set -Eeuo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
apt-get download -qq -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1
dpkg-deb --extract prometheus_*.deb .

# Each discovery that Prometheus 2.42 documents: whether the package knows its name.
seen=$(
    for name in azure consul digitalocean dns docker dockerswarm ec2 eureka file gce hetzner http ionos kubernetes kuma \
        lightsail linode marathon nerve nomad openstack ovhcloud puppetdb scaleway serverset triton uyuni vultr; do
        printf 'scrape_configs:\n  - job_name: j\n    %s_sd_configs:\n      - {}\n' "$name" >scrape.yml
        usr/bin/promtool check config --syntax-only scrape.yml >said 2>&1 || true
        if grep --quiet "field ${name}_sd_configs not found" said; then echo "$name"; fi
    done
)
echo "unknown:" $seen
[[ $(echo $seen) == "consul kubernetes kuma linode nomad" ]] || {
    echo "the behaviour has changed" >&2
    exit 1
}
echo "Debian's Prometheus 2.42.0 behaves as described"
