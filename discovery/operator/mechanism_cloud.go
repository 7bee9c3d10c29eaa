package operator

import (
	"errors"
	"fmt"

	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
)

func (o *object) ec2(s *section, path string, c *monitoringv1alpha1.EC2SDConfig) {
	some(s, "region", c.Region)
	o.keyPair(s, path, c.AccessKey, c.SecretKey)
	some(s, "role_arn", c.RoleARN)
	some(s, "refresh_interval", c.RefreshInterval)
	some(s, "port", c.Port)
	filters(s, c.Filters)
	o.sdClient(s, path, httpClient(nil, nil, nil, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) lightsail(s *section, path string, c *monitoringv1alpha1.LightSailSDConfig) {
	some(s, "region", c.Region)
	o.keyPair(s, path, c.AccessKey, c.SecretKey)
	some(s, "role_arn", c.RoleARN)
	some(s, "endpoint", c.Endpoint)
	some(s, "refresh_interval", c.RefreshInterval)
	some(s, "port", c.Port)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) azure(s *section, path string, c *monitoringv1alpha1.AzureSDConfig) {
	if method := value(c.AuthenticationMethod); method == "" || method == "OAuth" {
		for _, f := range []struct {
			field string
			set   bool
		}{
			{"tenantID", value(c.TenantID) != ""}, {"clientID", value(c.ClientID) != ""}, {"clientSecret", c.ClientSecret != nil},
		} {
			if !f.set {
				o.fault(path+"."+f.field, errors.New("must be set for the authentication method OAuth"))
			}
		}
	}
	some(s, "environment", c.Environment)
	some(s, "authentication_method", c.AuthenticationMethod)
	s.text("subscription_id", c.SubscriptionID)
	some(s, "tenant_id", c.TenantID)
	some(s, "client_id", c.ClientID)
	o.keyOf(s, "client_secret", path+".clientSecret", c.ClientSecret)
	some(s, "resource_group", c.ResourceGroup)
	some(s, "refresh_interval", c.RefreshInterval)
	some(s, "port", c.Port)
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) gce(s *section, _ string, c *monitoringv1alpha1.GCESDConfig) {
	s.set("project", c.Project)
	s.set("zone", c.Zone)
	some(s, "filter", c.Filter)
	some(s, "refresh_interval", c.RefreshInterval)
	some(s, "port", c.Port)
	some(s, "tag_separator", c.TagSeparator)
}

func (o *object) openStack(s *section, path string, c *monitoringv1alpha1.OpenStackSDConfig) {
	lowered(s, "role", c.Role)
	s.set("region", c.Region)
	some(s, "identity_endpoint", c.IdentityEndpoint)
	some(s, "username", c.Username)
	some(s, "userid", c.UserID)
	o.keyOf(s, "password", path+".password", c.Password)
	some(s, "domain_name", c.DomainName)
	some(s, "domain_id", c.DomainID)
	some(s, "project_name", c.ProjectName)
	some(s, "project_id", c.ProjectID)
	some(s, "application_credential_name", c.ApplicationCredentialName)
	some(s, "application_credential_id", c.ApplicationCredentialID)
	o.keyOf(s, "application_credential_secret", path+".applicationCredentialSecret", c.ApplicationCredentialSecret)
	some(s, "all_tenants", c.AllTenants)
	some(s, "refresh_interval", c.RefreshInterval)
	some(s, "port", c.Port)
	lowered(s, "availability", value(c.Availability))
	if err := c.TLSConfig.Validate(); err != nil {
		o.fault(path+".tlsConfig", err)
	}
	o.tls(s, path+".tlsConfig", o.meta.Namespace, withSecrets(c.TLSConfig))
}

func (o *object) digitalOcean(s *section, path string, c *monitoringv1alpha1.DigitalOceanSDConfig) {
	some(s, "port", c.Port)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(nil, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) linode(s *section, path string, c *monitoringv1alpha1.LinodeSDConfig) {
	some(s, "region", c.Region)
	some(s, "port", c.Port)
	some(s, "tag_separator", c.TagSeparator)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(nil, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) hetzner(s *section, path string, c *monitoringv1alpha1.HetznerSDConfig) {
	lowered(s, "role", c.Role)
	some(s, "port", c.Port)
	some(s, "refresh_interval", c.RefreshInterval)
	s.text("label_selector", value(c.LabelSelector))
	o.sdClient(s, path, httpClient(c.BasicAuth, c.Authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) ovhCloud(s *section, path string, c *monitoringv1alpha1.OVHCloudSDConfig) {
	s.set("application_key", c.ApplicationKey)
	o.keyOf(s, "application_secret", path+".applicationSecret", &c.ApplicationSecret)
	o.keyOf(s, "consumer_key", path+".consumerKey", &c.ConsumerKey)
	switch c.Service {
	case monitoringv1alpha1.OVHServiceVPS:
		s.set("service", "vps")
	case monitoringv1alpha1.OVHServiceDedicatedServer:
		s.set("service", "dedicated_server")
	default:
		o.fault(path+".service", fmt.Errorf("%q is neither VPS nor DedicatedServer", c.Service))
	}
	some(s, "endpoint", c.Endpoint)
	some(s, "refresh_interval", c.RefreshInterval)
}

func (o *object) scaleway(s *section, path string, c *monitoringv1alpha1.ScalewaySDConfig) {
	s.set("access_key", c.AccessKey)
	o.keyOf(s, "secret_key", path+".secretKey", &c.SecretKey)
	s.set("project_id", c.ProjectID)
	lowered(s, "role", c.Role)
	some(s, "port", c.Port)
	some(s, "api_url", c.ApiURL)
	some(s, "zone", c.Zone)
	some(s, "name_filter", c.NameFilter)
	list(s, "tags_filter", c.TagsFilter)
	some(s, "refresh_interval", c.RefreshInterval)
	o.sdClient(s, path, httpClient(nil, nil, nil, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}

func (o *object) ionos(s *section, path string, c *monitoringv1alpha1.IonosSDConfig) {
	s.set("datacenter_id", c.DataCenterID)
	some(s, "port", c.Port)
	some(s, "refresh_interval", c.RefreshInterval)
	authorization := &c.Authorization
	if c.OAuth2 != nil {
		authorization = nil // The schema demands one even so.
	}
	o.sdClient(s, path, httpClient(nil, authorization, c.OAuth2, c.TLSConfig, c.ProxyConfig, c.FollowRedirects, c.EnableHTTP2))
}
