output "devices_connect_to" {
  description = "Address of the load balancer; the port is 5023."
  value       = module.gateway.nlb_dns_name
}

output "stream_arns" {
  description = "Where records go."
  value       = module.gateway.stream_arns
}

output "container_definitions" {
  description = "What runs, as JSON."
  value       = module.gateway.container_definitions
}
